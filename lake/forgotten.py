"""Users and items that were forgotten, and that no night brings back.

For each there is a file LAKE/forgotten/KIND-HASH.json, its certificate, which `jobs.forget` writes. The id itself
stands nowhere: it is hashed under a random key of this lake, so that no table of hashes that was made elsewhere has it.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, Literal

import pyarrow.compute as pc

from lake import files
from lake.errors import LakeError
from lake.lake import Lake
from schemas.table import Table
from schemas.tables import Quarantine

FOLDER, KEY = "forgotten", "key.json"
Kind = Literal["user", "item"]
KINDS: tuple[Kind, ...] = ("user", "item")
STAGES: Mapping[Kind, tuple[str, ...]] = {
    "user": ("clean_interactions",),
    "item": ("clean_items", "clean_media", "clean_vectors_", "contradictions"),
}
"""Kind → how the stages of `quarantine` begin whose `record_id` names one of that kind."""
RECORD_ID_CHARS = 200
"""As many characters of an id stand in `record_id`."""


@dataclass(frozen=True)
class Subject:
    """A user or an item, by the identifier that the source gives it."""

    kind: Kind
    id: str

    def columns(self, table: type[Table]) -> list[str]:
        """Return the columns of a table that hold ids of its kind, such as `item_id` and `similar_item_id`."""
        return [name for name in table.schema.names if name.endswith(f"{self.kind}_id")]

    def named(self, table: type[Table]) -> pc.Expression | None:
        """Return whether a row of a table names it, which may be null; None for a table of which no row can."""
        if table is Quarantine:
            stages = (pc.starts_with(pc.field("stage"), stage) for stage in STAGES[self.kind])
            return (pc.field("record_id") == self.id[:RECORD_ID_CHARS]) & reduce(or_, stages)
        columns = [pc.field(column) == self.id for column in self.columns(table)]
        return reduce(or_, columns) if columns else None


@dataclass(frozen=True)
class Forgotten:
    """Those that were forgotten; picklable, so that tasks can ask wherever they run.

    Attributes:
        names: KIND-HASH of each.
    """

    key: bytes = b""
    names: frozenset[str] = field(default_factory=frozenset)

    def has(self, subject: Subject) -> bool:
        """Return whether it was forgotten."""
        return bool(self.names) and self.name(subject) in self.names

    def name(self, subject: Subject) -> str:
        """Return the name under which it is kept, or would be."""
        hashed = hashlib.blake2b(f"{subject.kind} {subject.id}".encode(), digest_size=16, key=self.key)
        return f"{subject.kind}-{hashed.hexdigest()}"


def read(lake: Lake) -> Forgotten:
    """Return those that a lake has forgotten.

    Raises:
        LakeError: the key is lost under which they are hashed.
    """
    names = {name.removesuffix(".json") for name in files.names(lake, FOLDER) if name.endswith(".json")}
    names.discard(KEY.removesuffix(".json"))
    stored = files.read_json(lake, f"{FOLDER}/{KEY}")
    if names and stored is None:
        raise LakeError(
            f"{FOLDER}/{KEY} is missing, without which nights would bring back who was forgotten; bring that file "
            f"back, or remove the folder {FOLDER} from {lake.uri} and forget them anew"
        )
    return Forgotten(bytes.fromhex(stored["key"]) if stored else b"", frozenset(names))


def begin(lake: Lake) -> Forgotten:
    """Return those that a lake has forgotten; the key is made where there is none yet.

    Raises:
        LakeError: as `read`.
    """
    if not (known := read(lake)).key:
        files.write_json(lake, f"{FOLDER}/{KEY}", {"key": secrets.token_hex(16)})
        known = read(lake)
    return known


def carry(lake: Lake, other: Lake) -> None:
    """Make another lake leave out whom this one has forgotten.

    Raises:
        LakeError: as `read`.
    """
    if read(lake).names:
        for name in files.names(lake, FOLDER):
            files.write_json(other, f"{FOLDER}/{name}", files.read_json(lake, f"{FOLDER}/{name}"))


def certificate(lake: Lake, subject: Subject) -> dict[str, Any] | None:
    """Return what is kept of the forgetting of a user or an item; None where it was not forgotten."""
    found = files.read_json(lake, path(read(lake).name(subject)))
    return None if found is None else dict(found)


def keep(lake: Lake, name: str, certificate: Mapping[str, Any]) -> None:
    """Keep a certificate under the name of its user or item. From the first one on, no night brings it back."""
    files.write_json(lake, path(name), certificate)


def path(name: str) -> str:
    """Return the path, relative to LAKE, of the certificate of a name."""
    return f"{FOLDER}/{name}.json"
