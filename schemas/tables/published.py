"""Which nights readers see: `published`."""

import pyarrow as pa

from schemas.table import Column, Table
from schemas.values import ACTION

_FILE = pa.struct([("path", pa.string()), ("size", pa.int64()), ("rows", pa.int64())])
PARTITIONS = pa.list_(
    pa.struct(
        [
            ("table", pa.string()),
            ("partition", pa.map_(pa.string(), pa.string())),
            ("files", pa.list_(_FILE)),
            ("made_from", pa.map_(pa.string(), pa.int64())),
        ]
    )
)
"""Partitions of tables, and the files that each consists of, by their path in the table's folder."""
TABLE_VERSIONS = pa.map_(pa.string(), pa.int64())


class Published(Table):
    """One change of what readers see: a night published, rolled back, or withdrawn.

    Its rows are in the order in which that happened, so that they alone depend on the order in which nights ran.
    """

    name = "published"
    described = (
        Column("number", pa.int64(), "Of the change, from 1, in the order in which they were made."),
        Column("date", pa.date32(), "Night that readers see since, or see no more."),
        Column("action", pa.string(), "What was done with the night.", values=ACTION),
        Column("actor", pa.string(), "Who or what did it: `nightly_recommendations`, or the name of a user."),
        Column("reason", pa.string(), "Why, where a person asked for it; null otherwise.", nullable=True),
        Column(
            "audited",
            pa.bool_(),
            "`verify` had read exactly these files and found every promise kept; false where a person published the "
            "night in spite of it, and where it was not published.",
        ),
        Column(
            "model_version",
            pa.string(),
            "The model that serves the night since, by its `model_version` in `models`; null where readers see nothing "
            "of the night.",
            nullable=True,
        ),
        Column("partitions", PARTITIONS, "The partitions that changed, as they are since."),
        Column("replaced", PARTITIONS, "The same partitions as they were before; empty where the night was withdrawn."),
        Column(
            "versions_before",
            TABLE_VERSIONS,
            "The version of every table before; readers stay at them while `versions` is null.",
        ),
        Column(
            "versions",
            TABLE_VERSIONS,
            "The version of every table since, by which other engines read the night as a whole; null while the change "
            "is being carried out.",
            nullable=True,
        ),
    )
    partition_by = ()
    key = ("number",)
