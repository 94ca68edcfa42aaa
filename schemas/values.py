"""What the values of the columns with few different ones mean: name → what it stands for.

A part of a name in capitals stands for any: `MODALITY` for text, image, audio or video, `FIELD` for a field of the
input, `SCORER` for a scorer of a stack.
"""

import re
from collections.abc import Mapping

Values = Mapping[str, str]

_PLACE = re.compile(r"[A-Z]{2,}")


def listed(values: Values, found: str) -> bool:
    """Return whether a value is one of these names.

    >>> listed(STEP, "extract_text"), listed(STEP, "extract")
    (True, False)
    """
    patterns = (_PLACE.sub("(.+)", re.escape(name)) for name in values)
    return any(re.fullmatch(pattern, found) for pattern in patterns)


SHELF: Values = {
    "for_you": "the whole catalog without what the user had an event with",
    "new_items": "only items that nobody has had an event with yet",
}

STEP: Values = {
    "clean_items": "records of items were read",
    "clean_interactions": "records of events were read",
    "clean_media": "files that the night's items name were looked for",
    "clean_vectors_MODALITY": "vectors that arrived were read",
    "extract_MODALITY": "features of the night's contents were extracted, under the first encoder",
    "extract_MODALITY.FINGERPRINT": "the same under another encoder of the modality",
    "reextract_MODALITY": "features of all known contents were extracted again, under the first encoder",
    "reextract_MODALITY.FINGERPRINT": "the same under another encoder of the modality",
    "recommend": "shelves of users were made",
}

TASK: Values = {
    "clean": "what arrived was brought into the lake",
    "extract_MODALITY": "features of the night's contents were extracted, under all encoders of the modality",
    "reextract_MODALITY": "features of all known contents were extracted again; no step of a night",
    "train": "the night's model was chosen and trained",
    "evaluate": "it was judged, and users and items were placed",
    "recommend": "shelves and neighbours were made",
    "verify": "what the night staged was audited",
    "report": "the night's page was written",
}

OUTCOME: Values = {
    "done": "with its work done",
    "failed": "with an error",
}

ENGINE: Values = {
    "local": "on the step's own machine; they are counted",
    "cluster": "on executors of a cluster; they are not counted",
}

EVENT: Values = {
    "view": "saw it",
    "click": "opened it",
    "like": "said that they like it",
    "dislike": "said that they do not",
    "cart": "put it into the cart",
    "purchase": "bought it",
    "rating": "gave it `value`",
    "review": "wrote `text` about it, with or without a `value`",
    "EVENT": "any other name that `events.weights` of the configuration has",
}

SPLIT: Values = {
    "global_time": "the latest likes of all users were held out",
    "per_user": "the latest likes of each user were held out",
    "cold_items": "all likes of some items were held out, as if these were new",
    "SPLIT validation": "held out likewise from the likes that were left, to choose the night's strategy by",
}

SEGMENT: Values = {
    "all": "all held-out likes",
    "warm_users": "of users with a like that is not held out",
    "cold_users": "of users without one",
    "warm_items": "of items with a like that is not held out",
    "cold_items": "of items without one",
    "head_items": "of the most liked items, which have about a third of the likes",
    "middle_items": "of the items between, with another third",
    "tail_items": "of the least liked items, with the last third",
    "with_MODALITY": "of items that have the modality",
    "without_MODALITY": "of items that lack it",
}

METRIC: Values = {
    "recall": "held-out likes among the first k, over all of the user's",
    "precision": "held-out likes among the first k, over k",
    "f1": "harmonic mean of precision and recall",
    "ndcg": "gain of the held-out likes among the first k, a later place counting less, over the best possible",
    "map": "mean of the precisions at the places of the held-out likes among the first k",
    "mrr": "1 over the place of the first held-out like among the first k; 0 without one",
    "hit_rate": "share of users with a held-out like among the first k",
    "accuracy": "share of the candidates that are on the right side of k",
    "auc": "chance that a held-out like ranks above another candidate, a mean over users",
    "users": "how many users with held-out likes had their lists judged",
    "user_share": "their share of all users with held-out likes",
    "novelty": "mean surprise of the first k in bits: rarely liked items have more",
    "diversity": "1 minus the mean cosine between the contents of the first k",
    "popularity_bias": "popularity of the first k over that of the user's own likes; 1 is neutral",
    "coverage": "share of the catalog that is among anybody's first k",
    "exposure_gini": "inequality of how often items are shown: 0 all alike, 1 one item alone",
    "roc": "true positive rate where the false positive rate is k percent, all users' scores pooled",
    "pr": "highest precision where recall is k percent or more, all users' scores pooled",
    "pooled_auc": "area under `roc`",
    "average_precision": "area under the precision-recall curve, all users' scores pooled",
    "platt_predicted": "mean probability in bin k by a sigmoid of the score",
    "platt_observed": "share of likes in that bin",
    "platt_error": "mean distance of the two over all bins",
    "isotonic_predicted": "mean probability in bin k by a function of the score that never falls",
    "isotonic_observed": "share of likes in that bin",
    "isotonic_error": "mean distance of the two over all bins",
    "METRIC_lead": "how far the model that serves the night is ahead of this one in the metric that decides: mean of "
    "the differences of the same users, below 0 where it is behind; its interval is of that mean",
    "parameter NAME": "a parameter of the trial, where it is a number",
    "weight SCORER": "weight of a scorer of the stack that serves the night",
}

ACTION: Values = {
    "publish": "readers see it since",
    "rollback": "readers see what they saw before it was published",
    "withdraw": "it is to be made again without a user or an item that was forgotten, and readers see nothing of it",
}

COMBINATION: Values = {
    "sum": "the sum",
    "borda": "points by place, falling in equal steps",
    "reciprocal_rank": "points by place, falling as 1 over the place",
    "vote": "how many blocks have the item among their first",
}

REASON: Values = {
    # files of records
    "unknown_format": "a file whose name ends in no known format",
    "unreadable_file": "a file that may not be read",
    "unreadable_folder": "a folder that may not be listed",
    "unreadable_name": "a name that is not UTF-8",
    "outside_raw": "a link that leads out of RAW or nowhere, or what is no file",
    "link_again": "a link to a folder that is read by another path",
    "not_compressed": "an empty file where compressed data was expected",
    "damaged_compression": "compressed data that is damaged or ends early",
    "damaged_encoding": "a text in no known encoding",
    "expands_too_much": "a file that becomes too large in memory",
    "document_too_large": "a JSON document that is too large to be read whole",
    "not_text": "a binary file under the name of a text",
    # rows
    "not_json": "no JSON",
    "not_an_object": "JSON that is no object",
    "not_csv": "a row of CSV with more cells than the header, an open quote, or a header that cannot be read",
    "not_utf8": "bytes that are not UTF-8",
    "not_parquet": "Parquet that is damaged",
    "record_too_long": "a record with too many bytes",
    "unreadable_value": "a value of Parquet that is out of range",
    # fields
    "FIELD_missing": "a required field that is not there, or has nothing that can be seen",
    "FIELD_characters": "an identifier with a character that none may have",
    "FIELD_too_long": "an identifier with too many characters",
    "FIELD_type": "a value of another type, such as a text where a number was expected",
    "FIELD_before_1970": "a time before 1970",
    "FIELD_in_future": "a time after the end of the day after the night",
    "user_id_reserved": "a user under the name of the newcomer, `*`",
    "unknown_event": "an event that the configuration does not weigh",
    "price_negative": "a price below 0",
    "vector_owner": "a vector of neither an item nor a file, or of both",
    "vector_width": "a vector of another width than the encoder's `dim`",
    "vector_not_finite": "a vector with NaN or infinity",
    "vector_overflow": "a vector with a number that single precision cannot hold",
    "vector_constant": "a vector whose numbers are all equal",
    # media files
    "media_missing": "a file that an item names and that is not there",
    "media_unreadable": "a file that may not be read",
    "media_outside_raw": "a path that leads out of RAW, or a URL",
    "media_size": "an empty file, or one with too many bytes",
    "media_changed": "a file that changed while the night ran",
    # contents
    "missing": "a file that was gone when it was to be decoded",
    "empty": "a content without anything to extract from",
    "unknown-format": "a file in a format that no decoder knows",
    "undecodable": "a file that its decoder cannot read",
    "too-large": "a picture or film with too many pixels",
    "timeout": "a file whose decoding took too long",
    "out-of-memory": "a file whose decoding took too much memory",
    "decoder-died": "a file that ended its decoder's process",
    "no-audio": "a file without sound",
    "no-video": "a file without pictures",
    "unencodable": "a content on which its encoder failed",
    "modalities_contradict": "a warning: the item's modalities contradict one another; nothing was refused",
}
