"""The readable columns of a text."""

from collections import Counter
from typing import Any

from features.text.nlp.analysis import Analysis
from features.text.nlp.phrases import key_phrases
from features.text.nlp.terms import normal_form, term_counts
from features.text.nlp.tokens import ENTITY_TYPES
from features.text.nlp.words import count_words

MAX_TOKENS = 2000
"""Most tokens in a row; the columns derived from tokens use these alone. A few kilobytes of Chinese or English."""
MAX_ENTITIES = 100


def readable_columns(whole: str, analysis: Analysis) -> dict[str, Any]:
    """The columns of `schemas.features.FeaturesText` for one text.

    Args:
        whole: the whole text.
        analysis: that of its beginning.
    """
    tokens = analysis.tokens[:MAX_TOKENS]
    ids, counts = term_counts(terms(analysis)[:MAX_TOKENS])
    return {
        "characters": len(whole),
        "words": count_words(whole),
        "language": analysis.language,
        "tokens": analysis.words()[:MAX_TOKENS],
        "pos": sorted(Counter(token.pos for token in tokens if token.pos).items()),
        "entities": _by_type(analysis),
        "key_phrases": key_phrases(analysis.text, tokens),
        "term_ids": ids,
        "term_counts": counts,
    }


def terms(analysis: Analysis) -> list[str]:
    """The terms of a bag of words: the tokens' dictionary forms, normalised."""
    return [normal_form(token.lemma) for token in analysis.tokens]


def _by_type(analysis: Analysis) -> list[tuple[str, list[str]]]:
    """The distinct entities of each type that occurs, in the order of the text."""
    found = [(entity.type, analysis.text[entity.start : entity.end]) for entity in analysis.entities]
    distinct = list(dict.fromkeys(found))[:MAX_ENTITIES]
    by_type = ((kind, [name for other, name in distinct if other == kind]) for kind in ENTITY_TYPES)
    return [(kind, names) for kind, names in by_type if names]
