"""A night's data in MMRec's layout, and the way back."""

import csv
import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.registry import vector_blocks
from fusion.data.catalog import Catalog, History
from fusion.data.reviews import Reviews
from fusion.data.splits import split
from jobs import export
from jobs.cli import main
from jobs.export import READ_BY_NIGHT, write_mmrec
from jobs.landing.mmrec import write_landing_zone
from jobs.modelling.dataset import Dataset
from lake.lake import Lake
from schemas.config import Config
from schemas.features import FEATURES
from schemas.table import MEDIA
from schemas.tables import Interactions, Items, Ledger
from tests.jobs.demo.reading import fingerprints, read_rows
from tests.jobs.test_cli import command_line
from tests.toys import empty

NIGHT = dt.date(2026, 11, 1)
NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
CONFIG = """
extract: {encoders: {text: {name: e5-small}}}
fusion: {split: {kind: per_user, test_share: 0.25, valid_share: 0.25}}
"""
ITEMS = {
    "d": ("t-d", ["i-d1", "i-d2"]),
    "a": ("t-a", []),
    "b": (None, ["i-b"]),
    "c": ("t-c", ["lost"]),
    "z": ("t-z", []),
}
"""Item → its text's key and its pictures' keys. Nobody likes z."""
TEXTS = {"t-d": [4.0, 0.0], "t-a": [1.0, 2.0], "t-c": [1.0, 7.0], "t-z": [99.0, 0.0]}
IMAGES = {"i-d1": [1.0, 2.0, 3.0], "i-d2": [3.0, 2.0, 1.5], "i-b": [0.0, 4.0, 8.25]}
EVENTS = [
    ("zoe", "d", "like", 1, None),
    ("zoe", "a", "rating", 2, 5.0),
    ("zoe", "b", "like", 3, None),
    ("zoe", "c", "rating", 4.5, 4.0),
    ("ann", "c", "like", 5, None),
    ("ann", "z", "dislike", 6, None),
    ("max", "z", "rating", 7, 1.0),
]
"""User, item, event, seconds after noon, value. max likes nothing, and is no user of MMRec's."""


def write(lake: Lake, table, rows: list[dict], partition: dict) -> None:
    base = {field.name: empty(field) for field in table.schema if field.name not in rows[0]}
    lake.write(table, pa.Table.from_pylist([base | row for row in rows], schema=table.schema), partition)


@pytest.fixture
def lake(lake: Lake) -> Lake:
    """A night as cleaning and extraction leave it."""
    items = [
        {"date": NIGHT, "item_id": item, "title": item, "text_key": text, "image_keys": images, "deleted": False}
        for item, (text, images) in ITEMS.items()
    ]
    write(lake, Items, items, {"date": NIGHT})
    events = [
        {"date": NIGHT, "user_id": user, "item_id": item, "event": event, "value": value}
        | {"timestamp": NOON + dt.timedelta(seconds=seconds)}
        for user, item, event, seconds, value in EVENTS
    ]
    write(lake, Interactions, events, {"date": NIGHT})
    names = {m: blocks[0].name for m, blocks in vector_blocks(Config().extract.encoders).items()}
    for modality, contents in {"text": TEXTS, "image": IMAGES}.items():
        identity = {"date": NIGHT, "encoder": names[modality]}
        rows = [identity | {"content_key": key, "vector": vector} for key, vector in contents.items()]
        write(lake, FEATURES[modality], rows, {"encoder": names[modality]})
    for step in READ_BY_NIGHT:
        write(lake, Ledger, [{"date": NIGHT, "step": step}], {"date": NIGHT, "step": step})
    return lake


@pytest.fixture
def exported(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command; the folder and what was printed."""

    def run(folder: Path, *, date: str = "2026-11-01", config: str = CONFIG) -> tuple[int, list[str], list[str]]:
        (tmp_path / "night.yaml").write_text(config)
        options = ["--date", date, "--lake", lake.uri, "--config", str(tmp_path / "night.yaml")]
        with command_line(monkeypatch, "export", "mmrec", str(folder), *options), pytest.raises(SystemExit) as end:
            main()
        found = capsys.readouterr()
        return end.value.code or 0, found.out.splitlines(), found.err.splitlines()

    return run


def test_a_night_by_hand(exported, tmp_path: Path) -> None:
    """Numbers: items a 0, b 1, c 2, d 3; users ann 0, zoe 1. Of zoe's four likes the last is the test, the one before
    it validates; ann's only one is train. d's picture is the mean of its two; a and c, which have none, get the mean of
    b's and d's, and b gets the mean of the texts of a, c and d."""
    code, printed, _ = exported(tmp_path / "shop")
    assert code == 0
    assert (tmp_path / "shop" / "shop.inter").read_bytes() == (
        b"userID\titemID\trating\ttimestamp\tx_label\n"
        b"0\t2\t\t1793534405\t0\n"
        b"1\t3\t\t1793534401\t0\n"
        b"1\t0\t5.0\t1793534402\t0\n"
        b"1\t1\t\t1793534403\t1\n"
        b"1\t2\t4.0\t1793534404.5\t2\n"
    )
    assert (tmp_path / "shop" / "i_id_mapping.csv").read_bytes() == b"item_id\titemID\na\t0\nb\t1\nc\t2\nd\t3\n"
    assert (tmp_path / "shop" / "u_id_mapping.csv").read_bytes() == b"user_id\tuserID\nann\t0\nzoe\t1\n"
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in (tmp_path / "shop").glob("*.npy")}
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "text_feat": [[1, 2], [2, 3], [1, 7], [4, 0]],
        "text_mask": [True, False, True, True],
        "image_feat": [[1, 3, 5.25], [0, 4, 8.25], [1, 3, 5.25], [2, 2, 2.25]],
        "image_mask": [False, True, False, True],
    }
    assert {arrays[name].dtype for name in ("text_feat", "image_feat")} == {np.dtype("<f4")}
    assert yaml.safe_load((tmp_path / "shop" / "shop.yaml").read_text()) == {
        "USER_ID_FIELD": "userID",
        "ITEM_ID_FIELD": "itemID",
        "RATING_FIELD": "rating",
        "TIME_FIELD": "timestamp",
        "inter_splitting_label": "x_label",
        "filter_out_cod_start_users": True,
        "inter_file_name": "shop.inter",
        "vision_feature_file": "image_feat.npy",
        "text_feature_file": "text_feat.npy",
        "field_separator": "\t",
    }
    assert printed == [
        "4 items, 2 users, likes: 3 train, 1 valid, 1 test",
        "text vectors: 3 items have one, 1 are filled with the mean of these",
        "image vectors: 2 items have one, 2 are filled with the mean of these",
        "left out:",
        "  2 pairs of user and item that are no likes",
        "  1 users without a like",
        "  1 items without a like, which MMRec has no numbers for",
        "  1 modality that no liked item has: audio",
        "  1 modality that no liked item has: video",
        f"{tmp_path / 'shop'}: move the folder to MMRec's data/shop, shop.yaml to src/configs/dataset/",
    ]


def test_the_same_night_gives_the_same_bytes(exported, tmp_path: Path) -> None:
    (tmp_path / "two" / "shop").mkdir(parents=True)  # an empty folder may be there
    for place in ("one", "two"):
        assert exported(tmp_path / place / "shop")[0] == 0
    assert fingerprints(tmp_path / "one") == fingerprints(tmp_path / "two")
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"shop"}


def test_cold_items_are_split_as_configured(exported, tmp_path: Path) -> None:
    """Of four liked items one is the test and one validates, each with all of its likes."""
    exported(tmp_path / "shop", config="fusion: {split: {kind: cold_items}}")
    rows = list(csv.DictReader((tmp_path / "shop" / "shop.inter").open(), delimiter="\t"))
    labels = {row["itemID"]: row["x_label"] for row in rows}
    assert sorted(labels.values()) == ["0", "0", "1", "2"]
    assert all(labels[row["itemID"]] == row["x_label"] for row in rows)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"date": "2026-11-02"}, "lacks clean_items, clean_interactions, extract_text"),
        (
            {"date": "2026-11-02"},
            "(nights 2026-11-01 to 2026-11-01 are there); run it: nightweave night --date 2026-11-02",
        ),
        ({"config": "extract: {encoders: {text: {name: bag-of-words}, image: {name: hog}}}"}, "give the --config that"),
        ({"config": "events: {weights: {view: 1.0}}"}, "has no likes to export"),
        ({"config": "fusion: {splits: {}}"}, "did you mean split?"),
    ],
)
def test_what_cannot_be_exported_is_one_line(options: dict, says: str, exported, tmp_path: Path) -> None:
    code, _, errors = exported(tmp_path / "out" / "shop", **options)
    assert code == 2 and len([line for line in errors if line.startswith("nightweave: ")]) == 1
    assert says in errors[-1]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(exported, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine").touch()
    code, _, errors = exported(tmp_path / "shop")
    assert code == 2 and "already holds mine; give a new or empty folder" in errors[-1]
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["mine"]


def test_what_fails_late_leaves_nothing(exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_configuration", full)
    with pytest.raises(OSError, match="No space left"):
        dataset, parts = made(World(["a", "b", "c"], ["u"], [(0, 0, 1, 1.0, np.nan)], [True] * 3, 0))
        write_mmrec(dataset, parts, tmp_path / "out" / "shop")
    assert os.listdir(tmp_path / "out") == []


@dataclass(frozen=True)
class World:
    """What a dataset is made of; `own` says which items have a picture."""

    items: list[str]
    users: list[str]
    rows: list[tuple[int, int, int, float, float]]
    own: list[bool]
    seed: int


def made(world: World):
    """A dataset of text and some pictures, and its split."""
    random = np.random.default_rng(world.seed)
    n, own = len(world.items), np.array(world.own)
    masks = {m: np.zeros(n, np.bool_) for m in MEDIA} | {"text": np.ones(n, np.bool_), "image": own}
    vectors = {m: random.normal(size=(n, 3)).astype(np.float32) * mask[:, None] for m, mask in masks.items()}
    rows = sorted({row[:2]: row for row in world.rows}.values(), key=lambda row: (row[0], row[2], row[1]))
    types = (np.int32, np.int32, np.int64, np.float32, np.float32)
    columns = [np.array([row[c] for row in rows], kind) for c, kind in enumerate(types)]
    history = History(np.array(sorted(world.users)), *columns)
    reviews = Reviews(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 3), np.float32))
    dataset = Dataset(Catalog(np.array(sorted(world.items)), vectors, masks), history, reviews, {}, "")
    return dataset, split(history, kind="per_user", test_share=0.2, valid_share=0.2)


IDENTIFIERS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=6).filter(
    lambda text: text.strip()
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    items = draw(st.lists(IDENTIFIERS, min_size=1, max_size=6, unique=True))
    users = draw(st.lists(IDENTIFIERS, min_size=1, max_size=4, unique=True))
    row = st.tuples(
        st.integers(0, len(users) - 1),
        st.integers(0, len(items) - 1),
        st.integers(0, 1_700_000_000_000_000),
        st.sampled_from([0.0, 0.5, 1.0]),
        st.sampled_from([np.nan, 1.0, 4.5]),
    )
    rows = [*draw(st.lists(row, max_size=20)), (0, 0, 5, 1.0, np.nan)]
    own = draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
    return World(items, users, rows, own, draw(st.integers(0, 99)))


@settings(max_examples=60)
@given(worlds())
@example(
    World(['"', "'", "#", "1e5"], ["NA", "\u00a0x"], [(0, 0, 1, 1.0, 4.5), (1, 3, 250_000, 1.0, np.nan)], [True] * 4, 0)
)
def test_likes_and_vectors_come_back(world: World) -> None:
    dataset, parts = made(world)
    history, catalog = dataset.history, dataset.catalog
    with TemporaryDirectory() as folder:
        data, raw = Path(folder) / "data", Path(folder) / "raw"
        write_mmrec(dataset, parts, data)
        write_landing_zone(data, raw)
        events, items = read_rows(raw, "interactions"), read_rows(raw, "items")
        given_ = {
            m: [row for path in (raw / "vectors" / m).rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
            for m in MEDIA
        }
    liked = [row for row in range(len(history)) if history.weight[row] > 0]
    assert sorted(
        (e["user_id"], e["item_id"], e["event"], round(dt.datetime.fromisoformat(e["timestamp"]).timestamp() * 1e6))
        + ((e.get("value"),) if "value" in e else ())
        for e in events
    ) == sorted(
        (str(history.user_ids[history.user[row]]), str(catalog.item_ids[history.item[row]]), "like")
        + (int(history.timestamp[row]),)
        + (() if np.isnan(history.rating[row]) else (float(history.rating[row]),))
        for row in liked
    )
    places = sorted({int(history.item[row]) for row in liked})
    assert [item["item_id"] for item in items] == [str(catalog.item_ids[place]) for place in places]
    for modality in MEDIA:
        expected = {
            str(catalog.item_ids[p]): catalog.vectors[modality][p].tolist()
            for p in places
            if catalog.masks[modality][p]
        }
        assert len(given_[modality]) == len(expected)
        assert {row["item_id"]: row["vector"] for row in given_[modality]} == expected
