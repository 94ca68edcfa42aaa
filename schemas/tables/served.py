"""What a night serves: `item_embeddings`, `user_embeddings`, `explanations`, `recommendations`, `similar_items`."""

import pyarrow as pa

from schemas.table import BLOCKS, CALIBRATION, MEDIA, STRINGS, VECTOR, WEIGHTS, Check, Column, Table, query
from schemas.tables.arrivals import COUNTS_AS_OF, FUTURE_DAYS
from schemas.values import COMBINATION, SHELF

NEWCOMER = "*"
"""The `user_id` of the row for everybody without a history; no user of the source may have it."""


class ItemEmbeddings(Table):
    """An item as of a night."""

    name = "item_embeddings"
    described = (
        Column("date", pa.date32(), "Night as of which the item is placed."),
        Column("item_id", pa.string(), "The item, by its `item_id` in `items`."),
        Column(
            "model_version",
            pa.string(),
            "The model that serves the night, by its `model_version` in `models`; `content` where no model was ever "
            "promoted, and content alone places the items.",
        ),
        Column(
            "vector",
            VECTOR,
            "The item under that model, made of blocks that lie side by side: one for the history, one for what is "
            "popular with everybody, one a modality; "
            "as wide for all items and users of a night.",
        ),
        Column(
            "blocks",
            BLOCKS,
            "The blocks by name (`history`, `popularity` or a modality), as [first column, column after its last].",
        ),
        Column(
            "neighbour_blocks",
            BLOCKS,
            "The columns by which `similar_items` compares items, in the form of `blocks`.",
        ),
        Column(
            "combination",
            pa.string(),
            "How the scores of the blocks (dot products with the user's), or the items' places in the blocks' own "
            "rankings, become one score; null, in rows of versions that had sums only, is `sum`.",
            nullable=True,
            values=COMBINATION,
        ),
        Column(
            "weights",
            WEIGHTS,
            "What the points of each block count, by its name; 1 for a block that is not named, and for all where it "
            "is null, as in rows of versions that had sums only.",
            nullable=True,
        ),
        Column(
            "common_history",
            pa.float32(),
            "What the item's history block adds to a score for the mean of the night's users with a like: the part of "
            "the history that everybody shares, which `contribution_popularity` has. 0 where scores are no sums; null "
            "in rows of versions that did not part it.",
            nullable=True,
        ),
        Column(
            "calibration",
            CALIBRATION,
            "`calibration` of the model that serves the night, in `models`; null where it has none.",
            nullable=True,
        ),
        Column(
            "modalities",
            STRINGS,
            "The modalities of which the item has a feature vector; text also where only its reviews have one; "
            "`attributes` where it has a category, a price or an attribute.",
        ),
        Column("is_new", pa.bool_(), "No user had an event with the item by that night."),
        Column(
            "predicted_rating",
            pa.float32(),
            "The rating that the model predicts for the item, in the units of `interactions.value`, a mean over the "
            "users; null where the model that serves learns no ratings.",
            nullable=True,
        ),
        Column(
            "predicted_category",
            pa.string(),
            "The category that the model predicts from the item's content, one of `items.category`; null where the "
            "item has no content, or the model that serves learns no categories.",
            nullable=True,
        ),
    )
    key = ("date", "item_id")
    checks = (Check("vectors are finite", query("any/vectors_are_finite.sql", table="item_embeddings")),)


class UserEmbeddings(Table):
    """A user as of a night."""

    name = "user_embeddings"
    described = (
        Column("date", pa.date32(), "Night as of which the user is placed."),
        Column(
            "user_id",
            pa.string(),
            f"The user, by their `user_id` in `interactions`; `{NEWCOMER}` is anybody without a history.",
        ),
        Column(
            "model_version",
            pa.string(),
            "The model that serves the night, by its `model_version` in `models`; a night without one has no rows.",
        ),
        Column("vector", VECTOR, "The user under that model, in the `blocks` of the night's `item_embeddings`."),
        Column(
            "new_items_vector",
            VECTOR,
            "The user as new items are ranked for them, in the same blocks; null where that is `vector`.",
            nullable=True,
        ),
    )
    key = ("date", "user_id")
    checks = (Check("vectors are finite", query("any/vectors_are_finite.sql", table="user_embeddings")),)


class Recommendations(Table):
    """One place on one user's shelf on a night.

    The seven contributions add up to `score`. Where the model combines rankings (`combination` in `item_embeddings`),
    they are the points that a block gives for the item's place.
    """

    name = "recommendations"
    described = (
        Column("date", pa.date32(), "Night that the shelf was made for."),
        Column(
            "user_id",
            pa.string(),
            f"The user, by their `user_id` in `user_embeddings`; `{NEWCOMER}` is anybody without shelves of their own.",
        ),
        Column("shelf", pa.string(), "Which of the user's lists of items.", values=SHELF),
        Column("rank", pa.int32(), "Place on the shelf, from 1, the best."),
        Column("item_id", pa.string(), "The item, by its `item_id` in `item_embeddings`."),
        Column(
            "score",
            pa.float32(),
            "What the shelf is ordered by, falling, in no unit; it compares items for one user on one night only.",
        ),
        Column("model_version", pa.string(), "The model that serves the night, by its `model_version` in `models`."),
        Column("modalities", STRINGS, "`modalities` of the item in `item_embeddings`."),
        Column(
            "contribution_history",
            pa.float32(),
            "Part of `score` that comes from what this user did before, beyond what history says of everybody with a "
            "like (`common_history` in `item_embeddings`); 0 where the user has liked nothing, or the model has no "
            "such block.",
        ),
        *(
            Column(
                f"contribution_{modality}",
                pa.float32(),
                f"Part of `score` that comes from the item's {modality}; 0 where the item has none.",
            )
            for modality in MEDIA
        ),
        Column(
            "contribution_attributes",
            pa.float32(),
            "Part of `score` that comes from the item's category, price and attributes; 0 where the item has none, or "
            "the model has no such block; null in rows of versions that did not read them.",
            nullable=True,
        ),
        Column(
            "contribution_popularity",
            pa.float32(),
            "Part of `score` that comes from what everybody likes, the item's `common_history` among it; of a user "
            "without a like all that comes from events; null in rows of versions that counted it as history.",
            nullable=True,
        ),
        Column(
            "probability",
            pa.float32(),
            "The chance that the user likes the item, between 0 and 1: `score` under `calibration` in `models` for the "
            "user's population. It can be compared between users; null where the model has no calibration for "
            "it.",
            nullable=True,
        ),
    )
    key = ("date", "user_id", "shelf", "rank")
    checks = (
        Check("ranks run from 1 without gaps", query("recommendations/ranks_run_from_1.sql")),
        Check("an item stands once on a shelf", query("recommendations/an_item_stands_once_on_a_shelf.sql")),
        Check("scores are finite", query("recommendations/scores_are_finite.sql")),
        Check("scores fall with rank", query("recommendations/scores_fall_with_rank.sql")),
        Check("probabilities are between 0 and 1", query("recommendations/probabilities.sql")),
        Check("contributions add up to the score", query("recommendations/contributions_add_up.sql")),
        Check(
            "popularity is what everybody likes",
            query("recommendations/popularity_is_everybodys.sql", newcomer=NEWCOMER),
        ),
        Check(
            "no deleted item is recommended",
            query("recommendations/no_deleted_item.sql", counts_as_of=COUNTS_AS_OF, future_days=str(FUTURE_DAYS)),
        ),
        Check("no seen item is recommended", query("recommendations/no_seen_item.sql")),
    )


class Explanations(Table):
    """One like of a user's that weighs in one place on one of their shelves on a night.

    Of four users with a like alone, those whose shelves the report shows, of the first six places of each shelf, and of
    each place the three likes that add most to it. Whatever the model, what a like adds is found by making the shelf
    anew without it; `nightweave explain --without-likes` does so for any user.
    """

    name = "explanations"
    described = (
        Column("date", pa.date32(), "Night that the shelf was made for."),
        Column("user_id", pa.string(), "The user, by their `user_id` in `user_embeddings`."),
        Column("shelf", pa.string(), "Which of the user's lists of items.", values=SHELF),
        Column("item_id", pa.string(), "The item that is recommended, by its `item_id` in `item_embeddings`."),
        Column(
            "because_item_id",
            pa.string(),
            "An item that the user likes, by its `item_id` in `interactions`: one of their newest twenty.",
        ),
        Column(
            "owed",
            pa.float32(),
            "What the like adds to the item's lead, which is its `score` less the mean over all items that may stand "
            "on the shelf: the lead less the lead without the like; above 0.",
        ),
        Column(
            "share",
            pa.float32(),
            "`owed` over the sum of what all of these likes add that add anything, above 0 and up to 1. It is the "
            "like's own term where scores are linear in likes; else likes may also add together.",
        ),
        Column("rank_without", pa.int32(), "Place that the item would have on the shelf without the like, from 1."),
        Column(
            "shared_words",
            STRINGS,
            "Words, case folded, of the key phrases of both items' texts; empty where there are none.",
        ),
        Column(
            "shared_hues",
            STRINGS,
            "Hues that at least a tenth of both items' first pictures has: red, orange, yellow, lime, green, mint, "
            "cyan, azure, blue, violet, magenta, pink; empty where there are none.",
        ),
        Column(
            "shared_tempo_bpm",
            pa.float32(),
            "Tempo of the item's first sound in beats a minute, where the like's is within 4% of it; else null.",
            nullable=True,
        ),
    )
    key = ("date", "user_id", "shelf", "item_id", "because_item_id")
    checks = (
        Check("what is explained stands on its shelf", query("explanations/on_its_shelf.sql")),
        Check("reasons are what the user had", query("explanations/reasons_were_had.sql")),
        Check("shares are of one whole", query("explanations/shares.sql")),
    )


class SimilarItems(Table):
    """One neighbour of an item on a night."""

    name = "similar_items"
    described = (
        Column("date", pa.date32(), "Night as of which the items are compared."),
        Column("item_id", pa.string(), "The item, by its `item_id` in `item_embeddings`."),
        Column("rank", pa.int32(), "Place among the item's neighbours, from 1, the most similar."),
        Column("similar_item_id", pa.string(), "The neighbour, by its `item_id` in `item_embeddings`."),
        Column(
            "score",
            pa.float32(),
            "Sum of the cosines of the blocks that both items have, over the number of those blocks plus 1: between -1 "
            "and 1, higher the more blocks agree.",
        ),
    )
    key = ("date", "item_id", "rank")
    checks = (
        Check("no item is its own neighbour", query("similar_items/no_item_is_its_own_neighbour.sql")),
        Check("ranks run from 1 without gaps", query("similar_items/ranks_run_from_1.sql")),
    )
