"""`nightweave verify` finds what is planted into a copy of a real night's lake, and names table and partition."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs.reextract import reextract_modality
from jobs.runtime.night import Night
from jobs.verify import WHOLE, Finding, findings
from lake.lake import Lake
from lake.rows import Engine
from schemas.features import FeaturesAudio, FeaturesImage, FeaturesText
from schemas.table import MEDIA, Table
from schemas.tables import Interactions, ItemEmbeddings, Items, Ledger, Recommendations, SimilarItems, UserEmbeddings
from tests.faults.night import NIGHTS, new_place
from tests.jobs.nights import a_night, finish, run_night

pytestmark = pytest.mark.night
DATE = f"date={NIGHTS[0]}"
Change = Callable[[list[dict]], list[dict]]


@pytest.fixture(scope="module")
def whole(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night's, whose pictures another encoder has read too."""
    place = new_place(tmp_path_factory.mktemp("verify"))
    run_night(engine, a_night(NIGHTS[0], place.raw, place.tables(), config=str(place.config)))
    place.config.write_text(place.config.read_text().replace("ImageBytes", "ImageNoise"))
    changed = a_night(NIGHTS[0], place.raw, place.tables(), config=str(place.config))
    reextract_modality(lambda *_: engine, changed, "image", chunk=1000)
    return place.lake


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Lake:
    return Lake(str(shutil.copytree(whole, tmp_path / "lake")))


def plant(lake: Lake, table: type[Table], change: Change, **partition: str) -> None:
    """Put a changed partition in the place of what was there, as a broken step would."""
    where = {"date": NIGHTS[0]} | partition if "date" in table.partition_by else partition
    rows = [r for r in lake.read(table).to_pylist() if all(str(r[c]) == value for c, value in where.items())]
    assert rows
    lake.write(table, pa.Table.from_pylist(change(rows), schema=table.schema), where)


def found(lake: Lake) -> dict[tuple[str, str], Finding]:
    _, broken = findings(lake)
    return {(finding.promise, finding.place()): finding for finding in broken}


def a_file(lake: Lake, table: type[Table]) -> Path:
    path = lake.files(table)["path"][0].as_py()
    return Path(lake.table_uri(table).removeprefix("file://")) / path


def encoder(lake: Lake, table: type[Table]) -> str:
    return pc.unique(lake.read(table)["encoder"])[0].as_py()


def test_a_whole_lake_has_nothing_to_find(whole: Path) -> None:
    looked, broken = findings(Lake(str(whole)))
    assert looked > 60 and not broken


@pytest.mark.parametrize("table", [Items, FeaturesText, Recommendations, Ledger], ids=lambda t: t.name)
def test_a_flipped_bit_in_any_column(copied: Lake, table: type[Table]) -> None:
    path = a_file(copied, table)
    whole = path.read_bytes()
    group = pq.ParquetFile(path).metadata.row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        flipped = bytearray(whole)
        flipped[column.data_page_offset + column.total_compressed_size - 1] ^= 1  # the last byte of its last page
        if column.dictionary_page_offset:
            flipped = bytearray(whole)
            flipped[column.dictionary_page_offset + column.total_compressed_size - 1] ^= 1
        path.write_bytes(flipped)
        (damage,) = copied.damaged(table)
        assert path.name in damage.path, column.path_in_schema


def test_a_row_whose_feature_is_absent(copied: Lake) -> None:
    key = next(key for key in copied.read(Items)["text_key"].to_pylist() if key)
    of = encoder(copied, FeaturesText)
    plant(copied, FeaturesText, lambda rows: [r for r in rows if r["content_key"] != key], encoder=of)
    finding = found(copied)["every content was extracted or refused", f"items/{DATE}"]
    assert key in finding.examples[0] and "'text'" in finding.examples[0]


def without_second_rank(rows: list[dict]) -> list[dict]:
    return [row for n, row in enumerate(rows) if n == 0 or row["rank"] != 2]


def last_value(value: float) -> Change:
    def spoil(rows: list[dict]) -> list[dict]:
        rows[-1]["vector"][-1] = value
        return rows

    return spoil


def telling_nothing(rows: list[dict]) -> list[dict]:
    """One vector holds something that is no number, another one number alone."""
    width = len(rows[0]["vector"])
    no_number = [math.nan] + [1.0] * (width - 1)
    return [rows[0] | {"vector": no_number}, rows[1] | {"vector": [0.5] * width}, *rows[2:]]


def test_ranks_and_vectors_that_no_step_writes(copied: Lake) -> None:
    of = encoder(copied, FeaturesAudio)
    plant(copied, Recommendations, without_second_rank)
    plant(copied, SimilarItems, without_second_rank)
    plant(copied, ItemEmbeddings, last_value(math.nan))
    plant(copied, UserEmbeddings, last_value(math.inf))
    plant(copied, FeaturesAudio, telling_nothing, encoder=of)
    by = {place: finding.broken_by for place, finding in found(copied).items()}
    for table in (Recommendations, SimilarItems):
        assert by["ranks run from 1 without gaps", f"{table.name}/{DATE}"]
    for table in (ItemEmbeddings, UserEmbeddings):
        assert by["vectors are finite", f"{table.name}/{DATE}"] == 1
    for promise in ("vectors are finite", "vectors are not constant"):
        assert by[promise, f"features_audio/encoder={of}"] == 1


ADD_UP, QUARANTINED, IN_TABLES, IN_STORE, SEEN = (
    "rows in = kept + refused + duplicates + superseded",
    "refused rows are in quarantine",
    "kept rows are in the tables",
    "kept contents are in the store of their encoder",
    "contents that arrive are extracted or refused",
)


@pytest.mark.parametrize(
    "wrong",
    [
        {
            "clean_items": ("rows_in", ADD_UP),
            "clean_interactions": ("kept", IN_TABLES),
            "clean_media": ("kept", IN_TABLES),
            "recommend": ("kept", IN_TABLES),
            "extract_video": ("rows_in", SEEN),
            "reextract_image": ("refused", QUARANTINED),
        },
        {"clean_items": ("refused", QUARANTINED), "extract_video": ("kept", IN_STORE)},
        {"clean_items": ("kept", IN_TABLES)},
    ],
    ids=len,
)
def test_counts_that_do_not_reconcile(copied: Lake, wrong: dict[str, tuple[str, str]]) -> None:
    for step, (column, _) in wrong.items():
        plant(copied, Ledger, lambda rows, column=column: [rows[0] | {column: 10_000}], step=step)
    assert {(promise, f"ledger/{DATE}/step={step}") for step, (_, promise) in wrong.items()} <= found(copied).keys()


STEPS = ("clean_items", "clean_interactions", "clean_media", *(f"extract_{m}" for m in MEDIA), "recommend")


@pytest.mark.parametrize(
    ("column", "more", "steps"),
    [
        ("kept", 1, [*STEPS, "reextract_image"]),
        ("kept", -1, [*STEPS, "reextract_image"]),
        ("refused", 1, [*STEPS, "reextract_image"]),
        ("refused", -1, ["extract_image"]),
    ],
)
def test_a_wrong_count_that_adds_up_is_found_by_what_the_tables_hold(
    copied: Lake, column: str, more: int, steps: list[str]
) -> None:
    """Each step's by itself, and no step's that counted right."""

    def miscount(rows: list[dict]) -> list[dict]:
        return [rows[0] | {name: rows[0][name] + more for name in ("rows_in", column)}]

    for step in steps:
        plant(copied, Ledger, miscount, step=step)
    assert {place for _, place in found(copied)} == {f"ledger/{DATE}/step={step}" for step in steps}


def test_an_account_of_a_step_that_nobody_knows(copied: Lake) -> None:
    account = copied.read(Ledger).to_pylist()[0] | {"step": "extract_smell"}
    copied.write(
        Ledger, pa.Table.from_pylist([account], schema=Ledger.schema), {"date": NIGHTS[0], "step": "extract_smell"}
    )
    assert ("every account is of a step that is known", f"ledger/{DATE}/step=extract_smell") in found(copied)


def test_a_row_that_another_encoder_still_has(copied: Lake) -> None:
    """The extraction of the night misses it, and so does the extraction of all pictures by the other encoder."""
    one, other = pc.unique(copied.read(FeaturesImage)["encoder"]).to_pylist()
    for of in (one, other):
        plant(copied, FeaturesImage, lambda rows: rows[1:], encoder=of)
    missing = {
        place for (promise, place) in found(copied) if promise == "kept contents are in the store of their encoder"
    }
    assert missing == {f"ledger/{DATE}/step={step}" for step in ("extract_image", "reextract_image")}


def test_accounts_that_name_no_encoder_are_held_against_all(copied: Lake) -> None:
    """Those of a version before there was the column."""
    for step in ("extract_image", "reextract_image"):
        plant(copied, Ledger, lambda rows: [rows[0] | {"encoder": None}], step=step)
    assert not found(copied)
    plant(copied, Ledger, lambda rows: [rows[0] | {"kept": rows[0]["kept"] + 1}], step="extract_image")
    assert ("kept contents are in the store of their encoder", f"ledger/{DATE}/step=extract_image") in found(copied)


def test_a_reextraction_that_has_not_seen_all_that_is_known_by_now_is_told_and_no_failure(copied: Lake) -> None:
    """As where an earlier night is made after it."""

    def one_picture_more(rows: list[dict]) -> list[dict]:
        row = next(row for row in rows if row["image_keys"] and not row["deleted"])
        row |= {"image_keys": [*row["image_keys"], "late"], "image_uris": [*row["image_uris"], "late"]}
        return rows

    plant(copied, Items, one_picture_more)
    findings_here = found(copied)
    finding = findings_here["all that is known was extracted again", f"ledger/{DATE}/step=reextract_image"]
    assert finding.severity == "warn"
    failed = {place for (_, place), finding in findings_here.items() if finding.severity == "fail"}
    assert f"ledger/{DATE}/step=reextract_image" not in failed


def test_a_lost_row_does_not_reconcile(copied: Lake) -> None:
    plant(copied, Items, lambda rows: rows[1:])
    assert ("kept rows are in the tables", f"ledger/{DATE}/step=clean_items") in found(copied)


def test_a_partition_without_an_account_is_told_and_no_failure(copied: Lake) -> None:
    plant(copied, Ledger, lambda rows: [], step="recommend")
    (finding,) = found(copied).values()
    assert (finding.promise, finding.severity) == ("every partition has its account", "warn")


def test_the_command_names_table_and_partition_and_fails(copied: Lake) -> None:
    a_file(copied, Recommendations).unlink()
    command = [sys.executable, "-m", "jobs.cli", "verify", "--lake", copied.uri]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 1
    assert f"fail: recommendations/{DATE}: {WHOLE}" in told.stdout


@dataclass(frozen=True)
class Relanded:
    """Two nights, and what the second recommends to one user: an item of each kind of change to the first night."""

    raw: Path
    config: Path
    lake: Lake
    user: str
    seen: str
    deleted: str

    def night(self, date: str) -> Night:
        return a_night(date, self.raw, self.lake, config=str(self.config))

    def shelf(self) -> set[str]:
        where = (pc.field("date") == pa.scalar(NIGHTS[1]).cast(pa.date32())) & (pc.field("user_id") == self.user)
        return set(self.lake.read(Recommendations, where=where)["item_id"].to_pylist())

    def failures(self) -> list[str]:
        return sorted({f"{f.place()}: {f.promise}" for f in findings(self.lake)[1] if f.severity == "fail"})


@pytest.fixture(scope="module")
def two(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Relanded:
    place = new_place(tmp_path_factory.mktemp("relanded"))
    for night in NIGHTS:
        run_night(engine, a_night(night, place.raw, place.tables(), config=str(place.config)))
    made = Relanded(place.raw, place.config, place.tables(), "", "", "")
    known = set(made.lake.read(Interactions)["user_id"].to_pylist())
    rows = made.lake.read(Recommendations, where=pc.field("shelf") == "for_you").to_pylist()
    mine = [row for row in rows if str(row["date"]) == NIGHTS[1] and row["user_id"] in known]
    seen, deleted = [row["item_id"] for row in mine if row["user_id"] == mine[0]["user_id"]][:2]
    return replace(made, user=mine[0]["user_id"], seen=seen, deleted=deleted)


@pytest.fixture
def relanded(two: Relanded, engine: Engine, tmp_path: Path) -> Relanded:
    """The first night was landed again with one more event and one more tombstone, and made again."""
    lake = Lake(str(shutil.copytree(two.lake.uri.removeprefix("file://"), tmp_path / "lake")))
    made = replace(two, raw=shutil.copytree(two.raw, tmp_path / "raw"), lake=lake)
    event = {"user_id": two.user, "item_id": two.seen, "timestamp": f"{NIGHTS[0]}T12:00:00Z", "event": "view"}
    tombstone = {"item_id": two.deleted, "deleted": True, "updated_at": f"{NIGHTS[1]}T23:59:59Z"}
    for kind, row in (("interactions", event), ("items", tombstone)):
        (made.raw / kind / f"ds={NIGHTS[0]}" / "more.jsonl").write_text(json.dumps(row))
    run_night(engine, made.night(NIGHTS[0]))
    return made


def test_an_earlier_night_that_was_landed_again_is_no_fault_of_a_later_one(relanded: Relanded, engine: Engine) -> None:
    assert {relanded.seen, relanded.deleted} <= relanded.shelf(), "the later night is as it was"
    assert relanded.failures() == []
    run_night(engine, relanded.night(NIGHTS[1]))
    assert relanded.shelf().isdisjoint({relanded.seen, relanded.deleted})
    assert relanded.failures() == []


def test_what_a_night_did_read_is_held_against_it_all_the_same(relanded: Relanded) -> None:
    """Its own rows are; made again, so are those of the night that was landed again."""
    of_second = pc.field("date") == pa.scalar(NIGHTS[1]).cast(pa.date32())
    (event,) = relanded.lake.read(Interactions, where=of_second).slice(0, 1).to_pylist()
    show(relanded.lake, event["user_id"], event["item_id"])
    failures = relanded.failures()
    assert f"recommendations/date={NIGHTS[1]}: no seen item is recommended" in failures
    assert all(f"/date={NIGHTS[1]}: " in failure for failure in failures), "nor is the first night blamed"


def test_rows_of_an_earlier_night_are_held_against_a_later_one_that_read_them(
    relanded: Relanded, engine: Engine
) -> None:
    finish(engine, relanded.night(NIGHTS[1]))
    for promise, item in (("seen", relanded.seen), ("deleted", relanded.deleted)):
        show(relanded.lake, relanded.user, item)
        assert f"recommendations/date={NIGHTS[1]}: no {promise} item is recommended" in relanded.failures()


def show(lake: Lake, user: str, item: str) -> None:
    """Put an item on the first place of a user's shelf of the second night, as a broken step would."""
    read = lake.made_from(Recommendations, {"date": NIGHTS[1]})
    rows = [row for row in lake.read(Recommendations).to_pylist() if str(row["date"]) == NIGHTS[1]]
    place = next(n for n, row in enumerate(rows) if row["user_id"] == user and row["rank"] == 1)
    rows[place] |= {"item_id": item}
    lake.write(Recommendations, pa.Table.from_pylist(rows, Recommendations.schema), {"date": NIGHTS[1]}, made_from=read)
