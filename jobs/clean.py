"""Clean a night: raw partitions in, the night's `items`, `interactions` and `given_vectors` out, what is refused in
`quarantine`."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from features.registry import encoder
from jobs.landing import records
from jobs.landing.columns import Columns
from jobs.landing.raw import Raw, Refusal
from jobs.runtime import agreement
from jobs.runtime.arrival import check_arrived, check_kept, kinds_read, landed
from jobs.runtime.engines import engines
from jobs.runtime.ledger import Account, check_share, close
from jobs.runtime.night import Night, NightError
from lake import forgotten, publication
from lake.forgotten import Forgotten
from lake.lake import Lake
from lake.rows import Engine, Rows
from lake.staging import StagedNight
from schemas.config import EncoderChoice
from schemas.errors import did_you_mean
from schemas.table import FILES, MEDIA, STRINGS, Medium, Table
from schemas.tables import COUNTS_AS_OF, GivenVectors, Interactions, Items, Ledger, Quarantine

log = logging.getLogger("nightweave.clean")

BYTES_FOR_SPARK = 8 << 20
"""Raw files that one core cleans in a quarter of a minute or so."""
ROWS_PER_BATCH, CHARACTERS_PER_BATCH = 2000, 8_000_000
ORIGIN = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("position", pa.int64()),
        pa.field("record_id", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("counted", pa.int64()),
        pa.field("digest", pa.string()),
        pa.field("unknown", STRINGS),
    ]
)
REFUSED = pa.schema([ORIGIN.field(name) for name in ("source", "position", "record_id", "reason", "detail", "rows")])
MEDIA_REFUSALS = pa.list_(pa.struct([("uri", pa.string()), ("reason", pa.string()), ("detail", pa.string())]))
MEDIA_ACCOUNT = pa.schema([("media_refusals", MEDIA_REFUSALS), ("hashed", pa.int64()), ("refused", pa.int64())])
Normalise = Callable[[dict[str, Any]], dict[str, Any]]
FORGOTTEN = "forgotten"
"""The reason, and the fate, of a record of a user or an item that was forgotten. No account has it: the tables are as
if it had never come."""


@dataclass(frozen=True)
class Arrived:
    """The files of one kind that a night brought: paths of those that are read, and why others are not."""

    paths: list[str]
    unread: list[tuple[str, Refusal]]


@dataclass(frozen=True)
class Parsed:
    """The records of one kind that a night brought, each with its fate, before anything of them is written.

    Attributes:
        partition: that of `table` which the kept ones replace.
    """

    step: str
    table: type[Table]
    partition: Mapping[str, str]
    arrived: Arrived
    fates: Rows

    @property
    def key(self) -> list[str]:
        """The columns by which rows of the partition differ."""
        return [column for column in self.table.key if column not in self.partition]


@dataclass(frozen=True)
class Reading:
    """How records of one kind are read.

    Attributes:
        record_id: the field that names a record in `quarantine`.
        normalise: what makes a row of a record under the contract's names, or refuses it.
        forgotten: users and items whose records are left out, whatever is in them.
    """

    columns: Columns
    record_id: str
    normalise: Normalise
    forgotten: Forgotten = field(default_factory=Forgotten)

    def leaves_out(self, fields: Mapping[str, Any]) -> bool:
        """Whether a record, under the contract's names, is of a user or an item that was forgotten."""
        return bool(self.forgotten.names) and any(map(self.forgotten.has, records.subjects(fields, self.columns)))


@dataclass(frozen=True)
class Counts:
    """Rows of a step by their fate, and how many there are, counted apart from the parser; those of users and items
    that were forgotten are in neither."""

    by_fate: Counter[str]
    rows_in: int


def parse(files: Rows, *, raw: Raw, table: type[Table], reading: Reading) -> Rows:
    """Every record of `files` (column `path`) as one row: the table's columns, or the reason why it is refused.
    Vectors are bytes, as `lake.rows.Rows.replace` takes them.

    Beside them stand the columns of `ORIGIN`. Columns that a later step fills are null. Each file has one row more, its
    account: see `read_rows`.
    """
    schema = pa.schema([*map(_vector_as_bytes, table.schema), *ORIGIN])

    def parse_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for path in batch.column("path").to_pylist():
                yield from in_batches(read_rows(path, raw=raw, reading=reading), schema)

    return files.map(parse_batches, schema)


def read_rows(path: str, *, raw: Raw, reading: Reading) -> Iterator[dict[str, Any]]:
    """Every record of one file as `parse` gives it; columns that are not there are null.

    `rows` is how many records of the file a row stands for, null where that is not known. The last row is the account
    of the file: it has only `source` and `counted`, the number of records in the file, counted apart from the parser;
    null where that cannot be known.
    """
    found = raw.records(path, known=reading.columns.read)
    for position, record in found:
        row: dict[str, Any] = {"source": path, "position": position, "rows": 1}
        if isinstance(record, Refusal):
            yield row | {"reason": record.reason, "detail": record.detail, "rows": record.rows}
            continue
        row["unknown"] = [_encodable(name)[:100] for name in reading.columns.unknown(record)]
        try:
            fields = reading.columns.renamed(record)
            if reading.leaves_out(fields):
                yield {"source": path, "position": position, "rows": 1, "reason": FORGOTTEN}
                continue
            row["record_id"] = _encodable(fields.get(reading.record_id) or "")[:200] or None
            values = reading.normalise(fields)
        except Refusal as refusal:
            yield row | {"reason": refusal.reason, "detail": refusal.detail}
        else:
            yield row | values | {"digest": records.digest(values)}
    yield {"source": path, "counted": found.counted}


def _vector_as_bytes(field: pa.Field) -> pa.Field:
    # what is refused has no columns of the table
    return pa.field(field.name, pa.binary() if field.name == "vector" else field.type)


def _encodable(value: Any) -> str:
    """The value as text without halves of surrogate pairs, which no table can hold."""
    return str(value).encode("utf-8", "replace").decode()


def resolve(parsed: Rows, *, key: tuple[str, ...], newest: str | None = None) -> Rows:
    """Mark what became of each row in a new column `fate`: kept, refused, duplicate, superseded or forgotten; `file`
    for the account of a file.

    Of the rows with one key the first by `newest`, descending, is kept, then the last in file order. Of the others,
    those that are equal to it are duplicates; the rest are superseded.

    Args:
        newest: an expression of SQL.
    """
    order = ", ".join(f"{what} DESC" for what in (newest, "source", "position") if what)
    return parsed.select(f"""
        SELECT *, CASE
            WHEN position IS NULL THEN 'file'
            WHEN reason = '{FORGOTTEN}' THEN reason
            WHEN reason IS NOT NULL THEN 'refused'
            WHEN row_number() OVER same_key = 1 THEN 'kept'
            WHEN digest = first_value(digest) OVER same_key THEN 'duplicate'
            ELSE 'superseded' END AS fate
        FROM {{rows}}
        WINDOW same_key AS (PARTITION BY reason IS NULL, position IS NULL, {", ".join(key)} ORDER BY {order})
    """)


def with_media_keys(items: Rows, *, raw: Raw, max_bytes: int) -> Rows:
    """Hash the files that items point to; a path that is refused leaves its list and stands in `media_refusals`. Beside
    them stand how many were `hashed` and how many `refused`."""
    schema = pa.schema([*(f.with_nullable(True) for f in Items.schema), *MEDIA_ACCOUNT])

    def hashed(row: dict[str, Any]) -> dict[str, Any]:
        refusals = []
        for medium in FILES:
            keys: dict[str, str] = {}
            for uri in row[f"{medium}_uris"] if not row["deleted"] else ():
                try:
                    keys.setdefault(raw.media(uri, max_bytes=max_bytes), uri)
                except Refusal as refusal:
                    refusals.append({"uri": uri, "reason": refusal.reason, "detail": refusal.detail})
            row |= {f"{medium}_keys": list(keys), f"{medium}_uris": list(keys.values())}
        hashed = sum(len(row[f"{medium}_keys"]) for medium in FILES)
        return row | {"media_refusals": refusals, "hashed": hashed, "refused": len(refusals)}

    def hash_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from in_batches((hashed(row) for row in batch.to_pylist()), schema)

    columns = ", ".join(field.name for field in Items.schema)
    return items.select(f"SELECT {columns} FROM {{rows}}").map(hash_batches, schema)


def _media_refusals(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Of items with their media refused, a row of `REFUSED` for each such path."""
    for batch in batches:
        rows = (
            {"source": found["uri"], "position": 0, "record_id": item["item_id"], "reason": found["reason"]}
            | {"detail": found["detail"]}
            for item in batch.select(["item_id", "media_refusals"]).to_pylist()
            for found in item["media_refusals"]
        )
        yield from in_batches(rows, REFUSED)


def reading_items(night: Night) -> Reading:
    return Reading(
        records.columns_of("items", night.config.clean),
        record_id="item_id",
        normalise=lambda record: (
            records.item(record, night=night.date, config=night.config.clean) | {"date": night.date}
        ),
        forgotten=forgotten.read(night.lake),
    )


def parsed_items(engine: Engine, night: Night, reading: Reading | None = None) -> Parsed:
    arrived = _arrived(night, "items")
    parsed = parse(_files(engine, arrived), raw=night.raw, table=Items, reading=reading or reading_items(night))
    fates = resolve(parsed, key=("item_id",), newest=COUNTS_AS_OF).kept()
    return Parsed("clean_items", Items, {"date": night.ds}, arrived, fates)


def clean_items(engine: Engine, night: Night, parsed: Parsed | None = None) -> None:
    """Bring the night's items into the lake; `parsed` is given where they were parsed already."""
    parsed = parsed or parsed_items(engine, night)
    counts, fates = _refuse(engine, night, parsed), parsed.fates
    kept = fates.select("SELECT * FROM {rows} WHERE fate = 'kept'").spread("item_id")
    items = with_media_keys(kept, raw=night.raw, max_bytes=night.config.clean.max_media_bytes).kept()
    _quarantine(night, "clean_media", items.map(_media_refusals, REFUSED))
    _publish(items, night, parsed)
    account = items.select(
        "SELECT CAST(sum(hashed) AS BIGINT) AS kept, CAST(sum(refused) AS BIGINT) AS refused FROM {rows}"
    )
    (media,) = account.collect()
    hashed, refused = media["kept"] or 0, media["refused"] or 0
    close(night, "clean_media", Account(rows_in=hashed + refused, kept=hashed, refused=refused))
    close(night, parsed.step, _account(night, parsed, counts))


def reading_interactions(night: Night) -> Reading:
    return Reading(
        records.columns_of("interactions", night.config.clean),
        record_id="user_id",
        normalise=lambda record: (
            records.interaction(record, night=night.date, events=night.config.events, config=night.config.clean)
            | {"date": night.date}
        ),
        forgotten=forgotten.read(night.lake),
    )


def parsed_interactions(engine: Engine, night: Night, reading: Reading | None = None) -> Parsed:
    arrived = _arrived(night, "interactions")
    reading = reading or reading_interactions(night)
    parsed = parse(_files(engine, arrived), raw=night.raw, table=Interactions, reading=reading)
    fates = resolve(parsed, key=("user_id", "item_id", "timestamp", "event")).kept()
    return Parsed("clean_interactions", Interactions, {"date": night.ds}, arrived, fates)


def clean_interactions(engine: Engine, night: Night, parsed: Parsed | None = None) -> None:
    """Bring the night's interactions into the lake; `parsed` is given where they were parsed already."""
    _clean_rows(engine, night, parsed or parsed_interactions(engine, night))


def _clean_rows(engine: Engine, night: Night, parsed: Parsed) -> None:
    counts = _refuse(engine, night, parsed)
    _publish(parsed.fates.select("SELECT * FROM {rows} WHERE fate = 'kept'"), night, parsed)
    close(night, parsed.step, _account(night, parsed, counts))


def clean_vectors(engine: Engine, night: Night, parsed: Mapping[Medium, Parsed] | None = None) -> None:
    """Bring the vectors into the lake that arrived for the modalities whose encoder is given them; `parsed` is given
    where they were parsed already.

    Of the others the night has none: what a run under another configuration brought is taken back.
    """
    landed = night.raw.names("vectors")
    if strays := [name for name in landed if name not in MEDIA]:
        hints = ", ".join(f"{name} ({did_you_mean(name, MEDIA).strip() or 'no modality'})" for name in strays)
        log.warning("vectors: not read, as they are none of %s: %s", ", ".join(MEDIA), hints)
    for modality, several in night.config.extract.encoders.items():
        if choice := next((choice for choice in several if choice.is_given), None):
            known = (parsed or {}).get(modality)
            _clean_vectors_of(engine, night, known or parsed_vectors(engine, night, modality, choice))
            continue
        if modality in landed:
            given = f"extract.encoders.{modality}: {{name: given, parameters: {{name: ..., dim: ...}}}}"
            names = ", ".join(choice.name for choice in several)
            log.warning("vectors/%s is not read: the encoder is %s; to use it, set %s", modality, names, given)
        _take_back(night, GivenVectors, {"date": night.ds, "modality": modality})
        for table, step in ((Quarantine, "stage"), (Ledger, "step")):
            _take_back(night, table, {"date": night.ds, step: f"clean_vectors_{modality}"})


def parsed_vectors(engine: Engine, night: Night, modality: Medium, choice: EncoderChoice) -> Parsed:
    given = encoder(modality, choice.name, **choice.parameters)
    arrived = _arrived(night, kind := f"vectors/{modality}")
    reading = Reading(
        records.columns_of(kind, night.config.clean),
        record_id="item_id",
        normalise=lambda record: records.given_vector(record, encoder=given) | {"date": night.date},
        forgotten=forgotten.read(night.lake),
    )
    parsed = parse(_files(engine, arrived), raw=night.raw, table=GivenVectors, reading=reading)
    fates = resolve(parsed, key=("item_id", "uri", "content_key")).kept()
    partition = {"date": night.ds, "modality": modality}
    return Parsed(f"clean_vectors_{modality}", GivenVectors, partition, arrived, fates)


def _clean_vectors_of(engine: Engine, night: Night, parsed: Parsed) -> None:
    if parsed.arrived.paths or parsed.arrived.unread:
        _clean_rows(engine, night, parsed)
        return
    # as on most nights
    for table, place in ((GivenVectors, parsed.partition), (Quarantine, {"date": night.ds, "stage": parsed.step})):
        _take_back(night, table, place)
    close(night, parsed.step, Account(rows_in=0, kept=0, files=0, unread_files=0))


def check_shrinking(engine: Engine, night: Night, parsed: Parsed) -> None:
    """See that what was parsed keeps most of the rows that the lake holds of the night, by their keys.

    Raises:
        NightError: more than the set share would be removed.
    """
    published = Lake(night.lake.uri)
    held = published.count(parsed.table, parsed.partition)
    if not held:
        return
    here = [(column, "=", value) for column, value in parsed.partition.items()]
    old = engine.read(published, parsed.table, *here, columns=parsed.key)
    key = ", ".join(parsed.key)
    both = f"SELECT {key} FROM {{rows}} INTERSECT SELECT {key} FROM {{new}} WHERE fate = 'kept'"
    (remaining,) = old.select(f"SELECT count(*) AS n FROM ({both})", new=parsed.fates).collect()
    check_kept(night, parsed.table, held=held, remaining=remaining["n"])


def _take_back(night: Night, table: type[Table], partition: Mapping[str, str]) -> None:
    if night.lake.count(table, partition):
        night.lake.replace(table, [], partition)


def _arrived(night: Night, kind: str) -> Arrived:
    arrived = Arrived(night.raw.files(kind, night.ds), night.raw.unread(kind, night.ds))
    log.info("%s: %d files in ds=%s", kind, len(arrived.paths), night.ds)
    for path, refusal in arrived.unread:
        log.warning("%s is not read: %s", path, refusal.detail)
    if strays := night.raw.strays(kind):
        log.warning("%s: not read, as they are no nights (ds=YYYY-MM-DD): %s", kind, ", ".join(strays))
    return arrived


def _files(engine: Engine, arrived: Arrived) -> Rows:
    return engine.rows(pa.table({"path": pa.array(arrived.paths, pa.string())}), parts=len(arrived.paths))


def in_batches(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows as record batches of `schema`: of 2,000 rows, or fewer where their texts exceed 8 million characters."""
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += _characters(row)
        if len(batch) == ROWS_PER_BATCH or size > CHARACTERS_PER_BATCH:
            yield pa.RecordBatch.from_pylist(batch, schema=schema)
            batch, size = [], 0
    if batch:
        yield pa.RecordBatch.from_pylist(batch, schema=schema)


def _characters(value: object) -> int:
    """The characters of all texts in a value."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(_characters(part) for pair in value.items() for part in pair)
    return sum(map(_characters, value)) if isinstance(value, list) else 0


def _refuse(engine: Engine, night: Night, parsed: Parsed) -> Counts:
    """Write what was refused, then stop the night if that is too much, or if it does not add up.

    Raises:
        NightError: rows are missing, or too many were refused.
    """
    step, arrived, fates = parsed.step, parsed.arrived, parsed.fates
    unread = [
        {"source": path, "position": 0, "reason": refusal.reason, "detail": refusal.detail, "rows": refusal.rows}
        for path, refusal in arrived.unread
    ]
    columns = ", ".join(REFUSED.names)
    refused = fates.select(
        f"SELECT {columns} FROM {{rows}} WHERE fate = 'refused' UNION ALL SELECT {columns} FROM {{unread}}",
        unread=engine.rows(pa.Table.from_pylist(unread, REFUSED), parts=1),
    )
    _quarantine(night, step, refused)
    counts = counted(night, step, arrived, fates)
    check_share(
        night,
        step,
        refused=counts.by_fate["refused"],
        rows_in=counts.rows_in,
        limit=night.config.clean.max_refused_share,
    )
    return counts


def counted(night: Night, step: str, arrived: Arrived, fates: Rows) -> Counts:
    """Rows by fate, held against how many records each file has, as counted apart from its parser.

    Raises:
        NightError: they differ, a file cannot be read to its end, or none of the files is one that is read.
    """
    groups = fates.select("""
        SELECT source, fate, CAST(sum(rows) AS BIGINT) AS rows, CAST(sum(counted) AS BIGINT) AS counted,
            count_if(rows IS NULL) AS unknown
        FROM {rows} GROUP BY source, fate
    """).collect()
    accounts = {row["source"]: row["counted"] for row in groups if row["fate"] == "file"}
    found, by_fate = Counter[str](), Counter[str]()
    for row in groups:
        if row["fate"] != "file":
            found[row["source"]] += row["rows"] or 0
            by_fate[row["fate"]] += row["rows"] or 0
    broken = [row["source"] for row in groups if row["fate"] == "refused" and row["unknown"]]
    if broken := sorted([*broken, *(path for path, refusal in arrived.unread if refusal.rows is None)]):
        raise _lost(night, step, f"{', '.join(broken)} cannot be read whole; how many rows are lost is not known")
    if arrived.unread and not arrived.paths:
        raise _lost(night, step, f"none of its {len(arrived.unread)} files is read")
    wrong = [path for path in arrived.paths if path not in accounts or accounts[path] not in (None, found[path])]
    if wrong:
        differ = "; ".join(f"{path} has {accounts.get(path)} records, {found[path]} accounted for" for path in wrong)
        raise _lost(night, step, differ)
    left_out = by_fate.pop(FORGOTTEN, 0)
    if left_out:
        log.info("%s: %d records of users or items that were forgotten are left out", step, left_out)
    return Counts(by_fate, sum(counted or 0 for counted in accounts.values()) - left_out)


def _lost(night: Night, step: str, what: str) -> NightError:
    return NightError(
        f"{step} of {night.ds}: {what} (law 3). Put the files into RAW anew or take them out, then run the night "
        f'again; the causes: nightweave query --staged {night.ds} "SELECT source, reason, detail FROM quarantine '
        f"WHERE stage = '{step}' AND date = '{night.ds}'\"",
        law=3,
        partition=f"date={night.ds}/step={step}",
    )


def _quarantine(night: Night, step: str, refused: Rows) -> None:
    """Make rows of `REFUSED` the step's part of the night's quarantine."""
    rows = refused.select(f"SELECT *, DATE '{night.ds}' AS date, '{step}' AS stage FROM {{rows}}")
    partition = {"date": night.ds, "stage": step}
    rows.replace(night.lake, Quarantine, partition, order=["source", "position", "record_id"], one_file=True)


def _publish(rows: Rows, night: Night, parsed: Parsed) -> None:
    rows.replace(night.lake, parsed.table, parsed.partition, order=parsed.key)


def _account(night: Night, parsed: Parsed, counts: Counts) -> Account:
    """The step's account; what was kept is counted in the table itself, not where it was decided."""
    names = parsed.fates.map(_unknown_columns, pa.schema([("name", pa.string())]))
    unknown = names.select("SELECT name, count(*) AS n FROM {rows} GROUP BY name").collect()
    return Account(
        rows_in=counts.rows_in,
        kept=night.lake.count(parsed.table, parsed.partition),
        refused=counts.by_fate["refused"],
        duplicates=counts.by_fate["duplicate"],
        superseded=counts.by_fate["superseded"],
        files=len(parsed.arrived.paths),
        unread_files=len(parsed.arrived.unread),
        unknown_columns={row["name"]: row["n"] for row in unknown},
    )


def _unknown_columns(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The names of columns that were not known, once for each record that has one."""
    for batch in batches:
        yield pa.record_batch({"name": pc.list_flatten(batch.column("unknown"))})


def _work(night: Night) -> tuple[str, float, float]:
    """What there is to clean, as `jobs.runtime.engines.EngineFor` takes it."""
    paths = [path for kind in kinds_read(night) for path in night.raw.files(kind, night.ds)]
    size = night.raw.size(paths)
    return f"{size / 2**20:.1f} MiB of raw files", size, BYTES_FOR_SPARK


@dataclass(frozen=True)
class Brought:
    """All that a night brings, parsed, before anything of it is written."""

    items: Parsed
    interactions: Parsed
    vectors: Mapping[Medium, Parsed]


def brought(engine: Engine, night: Night, *, allow_shrinking: bool = False) -> Brought:
    """Parse what a night brings.

    Raises:
        NightError: it would remove most of what the lake holds of the night, which is not allowed.
    """
    items, interactions = parsed_items(engine, night), parsed_interactions(engine, night)
    vectors = {
        modality: parsed_vectors(engine, night, modality, choice)
        for modality, several in night.config.extract.encoders.items()
        for choice in several
        if choice.is_given
    }
    for parsed in (items, interactions, *vectors.values()) if not allow_shrinking else ():
        check_shrinking(engine, night, parsed)
    return Brought(items, interactions, vectors)


def clean_all(engine: Engine, night: Night, parsed: Brought) -> None:
    """Bring all that was parsed of a night into its lake."""
    clean_items(engine, night, parsed.items)
    clean_interactions(engine, night, parsed.interactions)
    clean_vectors(engine, night, parsed.vectors)


def run(night: Night, *, publish: bool = True, without_data: bool = False, allow_shrinking: bool = False) -> None:
    """Clean the night.

    Args:
        publish: whether its run is to be published; if not, a night that is complete counts as such meanwhile.
        without_data: the night is declared to have no data.
        allow_shrinking: most of what the lake holds of the night may be removed.

    Raises:
        NightError: its data has not arrived, or would remove most of what the lake holds of it: nothing was changed. Or
            too much of it is refused.
    """
    if declared := check_arrived(night, without_data=without_data):
        log.warning("night %s: %s", night.ds, declared)
    files = landed(night)
    with engines(night, f"clean {night.ds}") as engine_for:
        engine = engine_for(*_work(night))
        parsed = brought(engine, night, allow_shrinking=allow_shrinking)
        if isinstance(night.lake, StagedNight):
            publication.carry_out_unfinished(night.lake)
            night.lake.begin(publish=publish)
        agreement.begin(night, raw=files)
        clean_all(engine, night, parsed)
