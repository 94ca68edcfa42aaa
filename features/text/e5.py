"""Texts as sentence embeddings that work across languages."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.keras_forward import check_options, told
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
    """multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672), 4-bit weights, 384 wide, of length 1.

    Every text is embedded as a "query". E5 was trained with two prefixes: query against passage for search, where the
    two sides differ in kind, and query against query where they don't (similarity, clustering, features), as its
    model card says. Items are compared with items, so both sides must be the same.

    Args:
        max_characters: only so much of the beginning of a text is analysed and embedded. A text longer than the
            model's window of 512 tokens is embedded window by window and averaged by the number of tokens.
        batch: how many texts of 32 tokens the network reads at once; of longer ones it reads fewer.
        precision: "float32", or a mixed precision of Keras for machines that are made for it.
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
        return super().parameters() | {"prefix": "query"} | told(self.precision)

    def weight_files(self) -> Sequence[Path]:
        return (e5_path(),)

    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """float32 [n, 384], rows of length 1."""
        return _network(self.precision).vectors([token_ids(_PREFIX + text.text) for text in texts], batch=self.batch)


@cache
def _network(precision: str) -> SentenceNetwork:
    """The network with its weights, made at the first call of a process."""
    file = e5_file()
    words = file.vocabulary
    # Every token is of the first of two kinds; what follows from the place alone is added on the way in.
    places = file.tensor("emb.pos").reshape(-1, file.width) + file.tensor("emb.type")[: file.width]

    def inputs(ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        return [file.embeddings(ids) + places[: ids.shape[1]], mask]

    return SentenceNetwork(_filled(file, precision), inputs, words.begin, words.end, words.padding, file.positions)


def _filled(file: E5File, precision: str) -> "keras.Model":
    """The encoder of the file's shape, with the file's weights."""
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
