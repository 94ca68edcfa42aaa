"""Data sets in MMRec's layout as a landing zone."""

import pickle
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import main
from jobs.landing import mmrec
from jobs.landing.mmrec import write_landing_zone
from jobs.landing.raw import LandingZoneError
from schemas.config import load
from tests.jobs.demo.reading import fingerprints, read_rows, rows_by_night
from tests.jobs.landing.test_folder import rows_that_a_night_accepts
from tests.jobs.test_cli import command_line

INTER = (
    "userID\titemID\trating\ttimestamp\tx_label\n"
    "0\t0\t5.0\t1328140800\t0\n"
    "0\t2\t3.0\t1328140900\t1\n"
    "1\t0\t\t1328141000\t2\n"
    "1\t4\t4.0\t1328141100.25\t0\n"
)
IMAGE = np.array([[1, 2, 3], [4, 5, 6], [0, 0, 0], [7, np.nan, 8], [1e300, 1, 2], [9, 8, 7]])
"""Row 2 is constant, row 3 is not finite, nor is row 4 in single precision, row 5 is of no item."""
TEXT = np.array([[0.5, 1], [1.5, 2], [2.5, 3], [3.5, 4]], np.float16)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "sports"
    folder.mkdir()
    (folder / "sports.inter").write_text(INTER)
    np.save(folder / "image_feat.npy", IMAGE)
    np.save(folder / "text_feat.npy", TEXT)
    return folder


def vectors(raw: Path, modality: str) -> dict[str, list[float]]:
    """Item → vector, from all nights; an item that is there twice fails."""
    found: dict[str, list[float]] = {}
    for path in sorted((raw / "vectors" / modality).glob("ds=*/*.parquet")):
        table = pq.ParquetFile(path).read()
        assert table.schema == pa.schema([("item_id", pa.string()), ("vector", pa.list_(pa.float32()))])
        rows = dict(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
        assert len(rows) == len(table) and not rows.keys() & found.keys()
        found |= rows
    return found


def test_every_row_arrives_and_a_night_accepts_it(source: Path, tmp_path: Path) -> None:
    """Items 1 and 3 have rows of features and no event; the largest number of an event is 4."""
    summary = write_landing_zone(source, tmp_path / "raw")
    items, likes = rows_that_a_night_accepts(tmp_path / "raw")
    assert [row["item_id"] for row in items] == ["0", "1", "2", "3", "4"]
    assert [(r["user_id"], r["item_id"], r["event"], r["value"], r["timestamp"].isoformat()) for r in likes] == [
        ("0", "0", "like", 5.0, "2012-02-02T00:00:00+00:00"),
        ("0", "2", "like", 3.0, "2012-02-02T00:01:40+00:00"),
        ("1", "0", "like", None, "2012-02-02T00:03:20+00:00"),
        ("1", "4", "like", 4.0, "2012-02-02T00:05:00.250000+00:00"),
    ]
    assert vectors(tmp_path / "raw", "image") == {"0": [1, 2, 3], "1": [4, 5, 6]}
    assert vectors(tmp_path / "raw", "text") == {"0": [0.5, 1], "1": [1.5, 2], "2": [2.5, 3], "3": [3.5, 4]}
    assert (summary.items, summary.users, summary.interaction_rows) == (5, 2, 4)
    assert summary.vectors == {"text": 4, "image": 2}
    assert summary.left_out == {
        "values of x_label, the data set's own split": 4,
        "text rows missing, each of one item": 1,
        "image rows of no item": 1,
        "image rows that are constant": 1,
        "image rows that are not finite": 2,
    }


@pytest.mark.parametrize("per_block", [1, 2, 5])
def test_blocks_change_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_block: int) -> None:
    whole = write_landing_zone(source, tmp_path / "whole")
    monkeypatch.setattr(mmrec, "BLOCK_BYTES", per_block * 4 * 3)
    parts = write_landing_zone(source, tmp_path / "parts")
    assert (whole.left_out, whole.vectors) == (parts.left_out, parts.vectors)
    for modality in ("image", "text"):
        assert vectors(tmp_path / "whole", modality) == vectors(tmp_path / "parts", modality)


def test_the_same_source_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_landing_zone(source, tmp_path / name, nights=2)
    assert fingerprints(tmp_path / "one") == fingerprints(tmp_path / "two")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8", "i8", "u1"])
def test_numbers_of_any_type_and_order(source: Path, tmp_path: Path, dtype: str, order: str) -> None:
    np.save(source / "audio_feat.npy", np.arange(10).reshape(5, 2).astype(dtype, order=order))
    write_landing_zone(source, tmp_path / "raw")
    assert vectors(tmp_path / "raw", "audio") == {str(row): [2 * row, 2 * row + 1] for row in range(5)}


def test_a_mask_says_which_rows_are_filled_in(source: Path, tmp_path: Path) -> None:
    np.save(source / "text_mask.npy", np.array([True, False, True, False]))
    summary = write_landing_zone(source, tmp_path / "raw")
    assert vectors(tmp_path / "raw", "text").keys() == {"0", "2"}
    assert summary.left_out["text rows that are filled in"] == 2


def test_original_identifiers(source: Path, tmp_path: Path) -> None:
    """The mapping has an item 5 without events, and neither item 2 nor user 1; rows 1, 2 and 3 are of no item."""
    (source / "i_id_mapping.csv").write_text('asin\titemID\nB05\t5\n00"7\t0\n"a\tb"\t4\n'.replace("a\tb", "a b"))
    (source / "u_id_mapping.csv").write_text("user_id\tuserID\nann\t0\n")
    summary = write_landing_zone(source, tmp_path / "raw")
    items, likes = rows_that_a_night_accepts(tmp_path / "raw")
    assert [row["item_id"] for row in items] == ['00"7', "a b", "B05"]
    assert [(row["user_id"], row["item_id"]) for row in likes] == [("ann", '00"7')]
    assert vectors(tmp_path / "raw", "image") == {'00"7': [1, 2, 3], "B05": [9, 8, 7]}
    assert summary.left_out == {
        "values of x_label, the data set's own split": 4,
        "events of items that i_id_mapping.csv lacks": 1,
        "events of users that u_id_mapping.csv lacks": 2,
        "text rows missing, each of one item": 2,
        "text rows of no item": 3,
        "image rows of no item": 3,
        "image rows that are not finite": 1,
    }


def test_headers_of_recbole_and_columns_without_a_meaning(source: Path, tmp_path: Path) -> None:
    (source / "sports.inter").write_text(
        "item_id:token\tmood:float\tuser_id:token\ttimestamp:float\n0\t1\t3\t1328140800000\n2\t1\t3\t\n"
    )
    summary = write_landing_zone(source, tmp_path / "raw")
    assert [(r["user_id"], r["item_id"], r["timestamp"]) for r in read_rows(tmp_path / "raw", "interactions")] == [
        ("3", "0", "2012-02-02T00:00:00Z")
    ]
    assert (summary.left_out["values of mood"], summary.left_out["events: timestamp_type"]) == (2, 1)


def test_without_times_all_events_bear_one(source: Path, tmp_path: Path) -> None:
    (source / "sports.inter").write_text("userID\titemID\n0\t0\n0\t2\n1\t0\n")
    summary = write_landing_zone(source, tmp_path / "raw", last_night=date(2026, 3, 1))
    likes = read_rows(tmp_path / "raw", "interactions")
    assert [row["timestamp"] for row in likes] == ["2026-03-01T00:00:00Z"] * 3
    assert summary.left_out["times of events, which there are none of: all bear 2026-03-01T00:00:00+00:00"] == 3
    with pytest.raises(LandingZoneError, match=r"no timestamp by which .* 3 nights; leave --nights out"):
        write_landing_zone(source, tmp_path / "other", nights=3)
    assert not (tmp_path / "other").exists()


def test_ratings_as_ratings(source: Path, tmp_path: Path) -> None:
    write_landing_zone(source, tmp_path / "raw", ratings=True)
    _, events = rows_that_a_night_accepts(tmp_path / "raw")
    assert [(row["event"], row["value"]) for row in events] == [
        ("rating", 5.0),
        ("rating", 3.0),
        ("like", None),
        ("rating", 4.0),
    ]


def test_vectors_arrive_with_their_items(source: Path, tmp_path: Path) -> None:
    """The only event of item 4 is of the second day, before which it cannot arrive."""
    (source / "sports.inter").write_text(INTER.replace("1328141100.25", "1772409600"))
    np.save(source / "audio_feat.npy", np.arange(10).reshape(5, 2))
    write_landing_zone(source, tmp_path / "raw", nights=2, last_night=date(2026, 3, 2))
    nights = {row["item_id"]: night for night, row in rows_by_night(tmp_path / "raw", "items")}
    assert nights == dict.fromkeys("0123", "2026-03-01") | {"4": "2026-03-02"}
    for modality, count in {"audio": 5, "text": 4}.items():
        rows = [
            (row["item_id"], night)
            for night, row in rows_by_night(tmp_path / "raw", f"vectors/{modality}")
            if row is not None
        ]
        assert dict(rows) == {item: night for item, night in nights.items() if int(item) < count}


def test_the_configuration_takes_these_vectors(source: Path, tmp_path: Path) -> None:
    write_landing_zone(source, tmp_path / "raw")
    found = load(str(tmp_path / "raw" / "config.yaml")).extract.encoders
    assert {m: [(choice.name, choice.parameters) for choice in found[m]] for m in ("text", "image")} == {
        "text": [("given", {"name": "sports", "dim": 2})],
        "image": [("given", {"name": "sports", "dim": 3})],
    }
    assert "given" not in [choice.name for choice in found["audio"]]


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def pickled(folder: Path) -> None:
    np.save(folder / "image_feat.npy", np.array([Trap(folder / "sprung")], object), allow_pickle=True)


def bare_pickle(folder: Path) -> None:
    (folder / "image_feat.npy").write_bytes(pickle.dumps(Trap(folder / "sprung")))


def array(name: str, value: object) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / name, np.asarray(value))


def text(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def cut_short(folder: Path) -> None:
    content = (folder / "image_feat.npy").read_bytes()
    (folder / "image_feat.npy").write_bytes(content[:-8])


def no_features(folder: Path) -> None:
    (folder / "text_feat.npy").unlink()
    (folder / "image_feat.npy").rename(folder / "image_feats.npy")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (pickled, "objects, which would be unpickled, are refused"),
        (bare_pickle, "objects, which would be unpickled, are refused"),
        (cut_short, "image_feat.npy cannot be read as an array of numbers"),
        (no_features, "did you mean image_feats.npy? expected image_feat.npy"),
        (array("image_feat.npy", [1.0, 2.0]), "holds float64 [2]; expected numbers [items, width]"),
        (array("image_feat.npy", np.zeros((2, 2, 2))), "holds float64 [2, 2, 2]"),
        (array("image_feat.npy", np.zeros((0, 4))), "it holds [0, 4]"),
        (array("image_feat.npy", [[1j]]), "holds complex128 [1, 1]"),
        (array("image_feat.npy", [["a"]]), "holds <U1 [1, 1]"),
        (array("text_mask.npy", [True]), "holds bool [1]; expected bool [4]"),
        (array("text_mask.npy", [1, 0, 1, 1]), "holds int64 [4]; expected bool [4]"),
        (text("other.inter", INTER), "holds 2 files *.inter (found: other.inter, sports.inter); expected exactly one"),
        (text("sports.inter", "userID\titem\n"), "no column itemID (found: userID, item); did you mean item? expected"),
        (text("sports.inter", "userID,itemID\n"), "no column userID (found: userID,itemID)"),
        (text("sports.inter", "userID\tuser_id\titemID\n"), "several columns userID (found: userID, user_id, itemID)"),
        (text("sports.inter", ""), "no column userID"),
        (text("sports.inter", "userID\titemID\n"), "a header and no rows"),
        (text("sports.inter", "userID\titemID\n0\tB07\n"), "line 2: itemID is 'B07'; expected a number from 0"),
        (text("sports.inter", "userID\titemID\n0\t-1\n"), "line 2: itemID is '-1'"),
        (text("sports.inter", "userID\titemID\n0\t1\n0\n"), "line 3: 1 cells where the header has 2"),
        (text("i_id_mapping.csv", "asin\titemID\na\t0\nb\t0\n"), "line 3: the number 0 is there twice"),
        (text("i_id_mapping.csv", "asin\titemID\na\t0\na\t1\n"), "has the identifier 'a' twice"),
        (text("i_id_mapping.csv", "asin,itemID\na,0\n"), "line 2: 1 cells; expected an original identifier, a tab"),
        (text("i_id_mapping.csv", "itemID\tasin\n0\ta\n"), "line 2: the number is 'a'"),
        (text("i_id_mapping.csv", "asin\titemID\n\t0\n"), "line 2: an identifier cannot be used"),
        (text("u_id_mapping.csv", "user\tuserID\n"), "u_id_mapping.csv names nothing"),
    ],
)
def test_a_source_that_cannot_be_used_is_one_line(
    damage: Callable[[Path], None],
    says: str,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(source)
    with (
        command_line(monkeypatch, "import", "mmrec", str(source), str(tmp_path / "raw")),
        pytest.raises(SystemExit) as end,
    ):
        main()
    *progress, error = capsys.readouterr().err.strip().splitlines()
    assert end.value.code == 2 and error.startswith("nightweave: ") and says in error
    assert not any("nightweave" in line or "Traceback" in line for line in progress)
    assert not (tmp_path / "raw").exists() and not (source / "sprung").exists()


def test_what_fails_late_leaves_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    (tmp_path / "raw").mkdir()
    with pytest.raises(OSError, match="No space left"):
        write_landing_zone(source, tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == []


def test_the_command_says_what_to_do_with_the_vectors(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "user_graph_dict.npy").write_bytes(b"")
    with (
        command_line(monkeypatch, "import", "mmrec", str(source), str(tmp_path / "raw")),
        pytest.raises(SystemExit) as end,
    ):
        main()
    lines = capsys.readouterr().out.splitlines()
    assert not end.value.code
    assert "vectors: 4 text, 2 image" in lines
    assert "  1 files that are not read: user_graph_dict.npy" in lines
    assert lines[lines.index("extract:") - 1].endswith(f"--config {tmp_path / 'raw' / 'config.yaml'}:")
    assert lines[-1] == "    image: {name: given, parameters: {name: sports, dim: 3}}"
