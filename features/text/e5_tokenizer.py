"""The tokenizer of multilingual-e5-small."""

from functools import cache
from typing import TYPE_CHECKING

from features.text.e5_file import e5_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def token_ids(text: str) -> list[int]:
    """The token ids of a text, without the special tokens that begin and end it.

    The tokenizer is XLM-RoBERTa's Unigram model (Kudo 2018, arXiv:1804.10959): characters are normalised, runs of
    spaces become one, a mark precedes every word. Consecutive unknown characters are one unknown token.

    >>> token_ids("a frog") == token_ids("a    frog")
    True
    """
    return _tokenizer().encode(text.translate(e5_file().vocabulary.normal), add_special_tokens=False).ids


@cache
def _tokenizer() -> "Tokenizer":
    """The tokenizer, built at the first call of a process (about 0.6 s)."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = e5_file().vocabulary
    tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, unk_id=vocabulary.unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return tokenizer
