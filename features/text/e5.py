"""Multilingual sentence embeddings."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.keras_forward import Engine, check_options, precision_parameter, runs_on_onnxruntime
from features.text.base import MAX_CHARACTERS, TextEncoder
from features.text.e5_file import E5File, e5_file, e5_path
from features.text.e5_tokenizer import token_ids
from features.text.nlp.analysis import Analysis
from features.text.windows import BATCH, SentenceNetwork

if TYPE_CHECKING:
    import keras

    from features.onnx_graph import Graph
    from features.onnx_session import Network

_DIM = 384
_PREFIX = "query: "


class E5Small(TextEncoder):
    """multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672), 4-bit weights; vectors 384 wide, of length 1.

    Every text is embedded as a "query". E5 was trained with two prefixes: by its model card, query against passage is
    for search, where the two sides differ in kind, and query against query for symmetric tasks (similarity, clustering,
    features). Items are compared with items, so both sides must have the same prefix.

    Args:
        max_characters: number of characters at the beginning of a text that are analysed and embedded. A text longer
            than the model's window of 512 tokens is embedded window by window; the windows' vectors are averaged,
            weighted by their number of tokens.
        batch: windows of up to 32 tokens a call of the network, fewer of longer ones, under Keras; ONNX Runtime takes
            them one by one. Not part of the fingerprint.
        precision: Keras' dtype policy. The mixed ones are for GPUs.
        engine: what computes the network, see `Engine`; not part of the fingerprint.

    Raises:
        ValueError: a parameter is out of its range.
    """

    name = "e5-small"
    version = 2

    def __init__(
        self,
        *,
        max_characters: int = MAX_CHARACTERS,
        batch: int = BATCH,
        precision: str = "float32",
        engine: Engine = "auto",
    ) -> None:
        super().__init__(max_characters=max_characters)
        check_options(batch=batch, precision=precision, engine=engine)
        self.batch = batch
        self.precision = precision
        self.engine = engine

    @property
    def dim(self) -> int:
        return _DIM

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | {"prefix": "query"} | precision_parameter(self.precision)

    def weight_files(self) -> Sequence[Path]:
        return (e5_path(),)

    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """float32 [n, 384], rows of length 1."""
        network = _network(None if runs_on_onnxruntime(self.engine, self.precision) else self.precision)
        return network.vectors([token_ids(_PREFIX + text.text) for text in texts], batch=self.batch)


@cache
def _network(precision: str | None) -> SentenceNetwork:
    """The network with its weights, in Keras, or without a `precision` under ONNX Runtime; built at the first call of a
    process."""
    file = e5_file()
    vocabulary = file.vocabulary
    # All tokens have the first of two types, so the type's embedding is added to those of the positions. The sum stays
    # outside the network, whose inputs are embeddings: the table of words is left in its 4-bit file.
    positions = file.tensor("emb.pos").reshape(-1, file.width) + file.tensor("emb.type")[: file.width]

    def embedded(ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        tokens = file.embeddings(ids) + positions[: ids.shape[1]]
        return [tokens] if precision is None else [tokens, mask]

    network = _onnx_encoder(file) if precision is None else _encoder(file, precision)
    special = (vocabulary.begin,), (vocabulary.end,), vocabulary.padding
    return SentenceNetwork(network, embedded, *special, file.positions, one_by_one=precision is None)


def _onnx_encoder(file: E5File) -> "Network":
    """The Transformer encoder of the file's shape under ONNX Runtime, without a mask: sequences [n, length, width] of
    one length → [n, width]."""
    from features.onnx_graph import Graph
    from features.onnx_session import Tensor

    graph = Graph(Tensor("embedded", "float32", ("n", "length", file.width)))
    x = graph.add(
        "LayerNormalization", "embedded", file.tensor("emb.ln.w"), file.tensor("emb.ln.b"), epsilon=file.epsilon
    )
    for index in range(file.layers):
        x = _onnx_block(graph, x, file, f"l{index}")
    return graph.network(graph.add("ReduceMean", x, np.array([1]), keepdims=0), width=file.width)


def _onnx_block(graph: "Graph", x: str, file: E5File, name: str) -> str:
    """A block as `features.text.transformer` describes it, in ONNX Runtime's own operators."""
    from features.onnx_graph import FUSED

    def vector(part: str) -> np.ndarray:
        return file.tensor(f"{name}.{part}")

    def matrix(part: str, inputs: int = file.width) -> np.ndarray:
        return file.matrix(f"{name}.{part}.w", inputs)

    def added(change: str, to: str, bias: str, norm: str) -> str:
        weights = (vector(f"{norm}.w"), vector(f"{norm}.b"), vector(f"{bias}.b"))
        return graph.add("SkipLayerNormalization", change, to, *weights, domain=FUSED, epsilon=file.epsilon)

    into = np.concatenate([matrix(part) for part in "qkv"], axis=1)
    biases = np.concatenate([vector(f"{part}.b") for part in "qkv"])
    attended = graph.add("Attention", x, into, biases, domain=FUSED, num_heads=file.heads)
    x = added(graph.add("MatMul", attended, matrix("ao")), x, "ao", "aln")
    inner = graph.add("BiasGelu", graph.add("MatMul", x, matrix("fi")), vector("fi.b"), domain=FUSED)
    return added(graph.add("MatMul", inner, matrix("fo", file.inner)), x, "fo", "oln")


def _encoder(file: E5File, precision: str) -> "keras.Model":
    """The Transformer encoder of the file's shape, with the file's weights."""
    from features.text.transformer import transformer

    network = transformer(
        width=file.width,
        depth=file.layers,
        heads=file.heads,
        inner=file.inner,
        epsilon=file.epsilon,
        precision=precision,
    )
    each = file.width // file.heads
    network.get_layer("norm").set_weights([file.tensor("emb.ln.w"), file.tensor("emb.ln.b")])
    for index in range(file.layers):
        into = [
            weights
            for part in "qkv"
            for weights in (
                file.matrix(f"l{index}.{part}.w", file.width).reshape(file.width, file.heads, each),
                file.tensor(f"l{index}.{part}.b").reshape(file.heads, each),
            )
        ]
        out = [file.matrix(f"l{index}.ao.w", file.width).reshape(file.heads, each, file.width)]
        network.get_layer(f"attention_{index}").set_weights([*into, *out, file.tensor(f"l{index}.ao.b")])
        for layer, name in (("attention_norm", "aln"), ("output_norm", "oln")):
            weights = [file.tensor(f"l{index}.{name}.w"), file.tensor(f"l{index}.{name}.b")]
            network.get_layer(f"{layer}_{index}").set_weights(weights)
        for layer, name, inputs in (("inner", "fi", file.width), ("outer", "fo", file.inner)):
            weights = [file.matrix(f"l{index}.{name}.w", inputs), file.tensor(f"l{index}.{name}.b")]
            network.get_layer(f"{layer}_{index}").set_weights(weights)
    return network
