"""Base class of the text encoders that read a tokenizer's file and whose network is told by parameters."""

import json
from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.keras_forward import check_options
from features.text.base import MAX_CHARACTERS, TextEncoder
from features.text.nlp.analysis import Analysis
from features.text.windows import BATCH, SentenceNetwork

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER, VOCABULARY, VOCABULARY_CONFIG = "tokenizer.json", "vocab.txt", "tokenizer_config.json"
# What checkpoints call the tokens that begin and end a text, and that fill it up.
_ENDS = (("[CLS]", "[SEP]"), ("<s>", "</s>"))
_PADDINGS = ("[PAD]", "<pad>", "<|endoftext|>")


class TokenisedEncoder(TextEncoder):
    """Base class of the encoders with a tokenizer of HuggingFace's; a subclass adds `network`. Vectors of length 1.

    A text longer than the network's window is encoded window by window; the windows' vectors are averaged, weighted by
    their number of tokens.

    Args:
        folder: where the tokenizer is: `tokenizer.json`, or `vocab.txt` with `tokenizer_config.json`.
        tokenizer: path of another `tokenizer.json`.
        prefix: prepended to every text, for models that were trained with one.
        max_tokens: tokens of a window; None for the model's own.
        padding: the token that fills up windows; None for [PAD], <pad> or <|endoftext|>, the first that the tokenizer
            has. It matters to models without a mask only: SigLIP's is </s>, SigLIP 2's <pad>.
        batch: windows of up to 32 tokens a call of the network; fewer of longer ones. Not part of the fingerprint.
        space: as in `Encoder`; not part of the fingerprint.
        max_characters: number of characters at the beginning of a text that are analysed and encoded.

    Raises:
        ValueError: a parameter is out of its range, or there is no tokenizer.
    """

    def __init__(
        self,
        *,
        folder: Path,
        tokenizer: str | None = None,
        prefix: str = "",
        max_tokens: int | None = None,
        padding: str | None = None,
        batch: int = BATCH,
        space: str = "",
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        super().__init__(max_characters=max_characters)
        check_options(batch=batch, precision="float32")
        if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 4):
            raise ValueError(f"max_tokens is {max_tokens!r}; expected a number of tokens, 4 or more")
        self.tokenizer = _tokenizer_file(folder, tokenizer)
        self.prefix = prefix
        self.max_tokens = max_tokens
        self.padding = padding
        self.batch = batch
        self.space = space

    def parameters(self) -> dict[str, Any]:
        own = {"prefix": self.prefix, "max_tokens": self.max_tokens, "padding": self.padding}
        return super().parameters() | own

    def weight_files(self) -> Sequence[Path]:
        """The tokenizer's files."""
        beside = self.tokenizer.with_name(VOCABULARY_CONFIG)
        return [self.tokenizer, *([beside] if self.tokenizer.name == VOCABULARY and beside.is_file() else [])]

    @abstractmethod
    def network(self, begin: tuple[int, ...], end: tuple[int, ...], padding: int) -> SentenceNetwork:
        """The network between the tokens that begin, end and pad a text."""

    def vectors(self, texts: Sequence[Analysis]) -> np.ndarray:
        """float32 [n, dim], rows of length 1."""
        tokenizer = _tokenizer(self.tokenizer)
        ids = [tokenizer.encode(self.prefix + text.text, add_special_tokens=False).ids for text in texts]
        return self.network(*_special_tokens(self.tokenizer, self.padding)).vectors(ids, batch=self.batch)


def _tokenizer_file(folder: Path, other: str | None) -> Path:
    found = [folder / TOKENIZER, folder / VOCABULARY] if other is None else [Path(other)]
    for path in found:
        if path.is_file() and (path.suffix != ".json" or _is_tokenizer(path)):
            return path
    where = f"{folder} has neither {TOKENIZER} nor {VOCABULARY}" if other is None else f"tokenizer is {other!r}"
    raise ValueError(f"{where}; give a {TOKENIZER} of HuggingFace's tokenizers, there or by the parameter tokenizer")


def _is_tokenizer(path: Path) -> bool:
    """Whether a JSON file is of HuggingFace's tokenizers; a preset of keras-hub calls a file of its own the same."""
    try:
        return "model" in json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False


@cache
def _tokenizer(path: Path) -> "Tokenizer":
    """The tokenizer, without truncation and padding."""
    from tokenizers import BertWordPieceTokenizer, Tokenizer

    if path.suffix == ".json":
        tokenizer = Tokenizer.from_file(str(path))
    else:
        beside = path.with_name(VOCABULARY_CONFIG)
        config = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
        tokenizer = BertWordPieceTokenizer(str(path), lowercase=config.get("do_lower_case", True))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def _special_tokens(path: Path, padding: str | None) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The ids of the tokens that begin and end a text, and of that which fills it up.

    Those that the tokenizer itself puts around a text, or where it puts none, those that BERT and RoBERTa do.

    Raises:
        ValueError: the tokenizer lacks the token.
    """
    tokenizer = _tokenizer(path)
    whole = tokenizer.encode("a")
    text = [at for at, special in enumerate(whole.special_tokens_mask) if not special]
    begin, end = tuple(whole.ids[: text[0]]), tuple(whole.ids[text[-1] + 1 :])
    if not begin and not end:
        pairs = [[tokenizer.token_to_id(token) for token in pair] for pair in _ENDS]
        begin, end = next((((a,), (b,)) for a, b in pairs if a is not None and b is not None), ((), ()))
    known = [tokenizer.token_to_id(token) for token in (_PADDINGS if padding is None else (padding,))]
    fill = next((token for token in known if token is not None), None)
    if fill is None:
        wanted = " nor ".join(_PADDINGS) if padding is None else repr(padding)
        raise ValueError(f"the tokenizer in {path} has no token {wanted}; give the one that fills up texts as padding")
    return begin, end, fill
