"""Multilingual sentence embeddings."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.keras_forward import check_options, precision_parameter
from features.text.base import MAX_CHARACTERS, TextEncoder
from features.text.e5_file import E5File, e5_file, e5_path
from features.text.e5_tokenizer import token_ids
from features.text.nlp.analysis import Analysis
from features.text.windows import BATCH, SentenceNetwork

if TYPE_CHECKING:
    import keras

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
        batch: windows of up to 32 tokens a call of the network; fewer of longer ones. Not part of the fingerprint.
        precision: Keras' dtype policy. The mixed ones are for GPUs.

    Raises:
        ValueError: a parameter is out of its range.
    """

    name = "e5-small"
    version = 2

    def __init__(self, *, max_characters: int = MAX_CHARACTERS, batch: int = BATCH, precision: str = "float32") -> None:
        super().__init__(max_characters=max_characters)
        check_options(batch=batch, precision=precision)
        self.batch = batch
        self.precision = precision

    @property
    def dim(self) -> int:
        return _DIM

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | {"prefix": "query"} | precision_parameter(self.precision)

    def weight_files(self) -> Sequence[Path]:
        return (e5_path(),)

    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """float32 [n, 384], rows of length 1."""
        return _network(self.precision).vectors([token_ids(_PREFIX + text.text) for text in texts], batch=self.batch)


@cache
def _network(precision: str) -> SentenceNetwork:
    """The network with its weights, built at the first call of a process."""
    file = e5_file()
    vocabulary = file.vocabulary
    # All tokens have the first of two types, so the type's embedding is added to those of the positions. The sum stays
    # outside the network, whose inputs are embeddings: the table of words is left in its 4-bit file.
    positions = file.tensor("emb.pos").reshape(-1, file.width) + file.tensor("emb.type")[: file.width]

    def inputs(ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        return [file.embeddings(ids) + positions[: ids.shape[1]], mask]

    network = _encoder(file, precision)
    begin, end = (vocabulary.begin,), (vocabulary.end,)
    return SentenceNetwork(network, inputs, begin, end, vocabulary.padding, file.positions)


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
