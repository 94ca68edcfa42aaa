import codecs
import itertools
from pathlib import Path
from typing import Any

import pytest

from jobs.landing import text
from jobs.landing.raw import Raw, Refusal


def read(tmp_path: Path, content: str | bytes) -> dict[int, Any]:
    """Records by position; a refusal as its reason and the rows that it stands for. What was counted agrees."""
    (tmp_path / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    records = Raw(str(tmp_path)).records("a.csv")
    found = {n: (r.reason, r.rows) if isinstance(r, Refusal) else r for n, r in records}
    assert records.counted == sum(r[1] if isinstance(r, tuple) else 1 for r in found.values())
    return found


def plain(count: int) -> list[str]:
    return [f"q-{number:03},plain title {number}" for number in range(1, count + 1)]


def test_a_quote_that_never_closes_costs_its_row(tmp_path: Path) -> None:
    rows = plain(100)
    rows[2] = 'q-003,"plain title 3'
    found = read(tmp_path, "\n".join(["item_id,title", *rows]))
    assert found.pop(4) == ("not_csv", 1)
    assert list(found.values()) == [
        {"item_id": f"q-{n:03}", "title": f"plain title {n}"} for n in range(1, 101) if n != 3
    ]


def test_one_quote_in_a_hundred_thousand_rows_costs_its_row(tmp_path: Path) -> None:
    rows = [f"{number},title {number}" for number in range(100_000)]
    rows[50_000] = '50000,"title'
    found = read(tmp_path, "\n".join(["item_id,title", *rows]))
    assert [n for n, record in found.items() if isinstance(record, tuple)] == [50_002]
    assert len(found) == 100_000


def test_quotes_that_never_close_in_many_rows(tmp_path: Path) -> None:
    rows = [f'{number},"title {number}' if number % 3 else f'{number},"a ""good"" one"' for number in range(3000)]
    found = read(tmp_path, "\n".join(["item_id,title", *rows]))
    assert sum(record == ("not_csv", 1) for record in found.values()) == 2000
    assert found[2] == {"item_id": "0", "title": 'a "good" one'}


def test_rows_that_a_quote_of_another_row_closes_in_are_refused_each(tmp_path: Path) -> None:
    """Each of 88 rows is a line of the first one's title, as far as a parser can tell."""
    rows = plain(100)
    rows[2], rows[89] = 'q-003,"plain title 3', 'q-090,plain title 90"'
    found = read(tmp_path, "\n".join(["item_id,title", *rows]))
    assert found[4] == ("not_csv", 88)
    assert len(found) == 13 and found[92] == {"item_id": "q-091", "title": "plain title 91"}


def test_rows_that_are_swallowed_in_a_middle_column(tmp_path: Path) -> None:
    lines = ["item_id,title,category,price", 'a,"x, y","open,5', "b,t,home,6", "c,t,home,7", 'd,t,5",8', "e,t,home,9"]
    found = read(tmp_path, "\n".join(lines))
    assert found == {
        2: ("not_csv", 4),
        6: {"item_id": "e", "title": "t", "category": "home", "price": "9"},
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_cell_of_many_lines_is_kept(tmp_path: Path, end: str) -> None:
    text = end.join(["Dear reader,", "", "this is, in short, a text", 'with "quotes", and', "more, still"] * 900)
    quoted = text.replace('"', '""')
    found = read(tmp_path, f'item_id,description{end}q-1,"{quoted}"{end}q-2,good{end}')
    assert list(found.values()) == [{"item_id": "q-1", "description": text}, {"item_id": "q-2", "description": "good"}]


def test_a_lone_cr_within_a_cell_that_pandas_does_not_quote(tmp_path: Path) -> None:
    found = read(tmp_path, 'item_id,title,tags\n1,a\rb,"[""x""]"\n2,c,d\n')
    assert list(found.values()) == [
        {"item_id": "1", "title": "a\rb", "tags": '["x"]'},
        {"item_id": "2", "title": "c", "tags": "d"},
    ]


def test_a_short_row_takes_nothing_of_the_next_where_lines_end_in_cr(tmp_path: Path) -> None:
    assert read(tmp_path, "item_id,title\r1\r2,x\r") == {2: ("not_csv", 1), 3: {"item_id": "2", "title": "x"}}


def test_a_large_cell_is_one_record(tmp_path: Path) -> None:
    found = read(tmp_path, 'item_id,description\nbig,"' + "x\n" * 70_000 + '"\nafter,a good row\n')
    assert found == {
        2: {"item_id": "big", "description": "x\n" * 70_000},
        70_003: {"item_id": "after", "description": "a good row"},
    }


def test_a_record_of_many_lines_with_a_cell_too_many_is_one_refusal(tmp_path: Path) -> None:
    found = read(tmp_path, 'item_id,title\n1,"a\nb\nc",x\n2,y\n')
    assert found == {2: ("not_csv", 1), 5: {"item_id": "2", "title": "y"}}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_those_of_the_header(tmp_path: Path, delimiter: str) -> None:
    other = "," if delimiter == ";" else ";"
    lines = [delimiter.join(cells) for cells in (["item_id", "title"], ["1", f"a{other}b"], ["2", '"x"'])]
    assert read(tmp_path, "\n".join(lines)) == {
        2: {"item_id": "1", "title": f"a{other}b"},
        3: {"item_id": "2", "title": "x"},
    }


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ('item_id,title\n1,"say \\"hi\\", you"\n', 'say "hi", you'),  # as Spark writes
        ('item_id,title\n1,"a \\"\n', "a \\"),
        ('item_id, title\n1, "a, b"\n', "a, b"),
        ('sep=;\nitem_id;title\n1;"a;b"\n', "a;b"),
        ("\n\nitem_id,title\n1,a 5\" screen\n", 'a 5" screen'),
        (codecs.BOM_UTF8 + "item_id,title\n1,é\n".encode(), "é"),
        ("\ufeffitem_id,title\n1,é🐸\n".encode("utf-16-le"), "é🐸"),
        ("\ufeffitem_id,title\n1,é🐸\n".encode("utf-16-be"), "é🐸"),
        ("item_id;title\r\n1;é\r\n".encode("utf-16-le"), "é"),
    ],
)  # fmt: skip
def test_dialects(tmp_path: Path, content: str | bytes, row: str) -> None:
    assert list(read(tmp_path, content).values()) == [{"item_id": "1", "title": row}]


def test_bytes_that_are_no_utf8_cost_their_row_and_name_the_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("item_id,title\n1,Café\n2,Tea\n".encode("cp1252"))
    (_, refusal), (_, record) = Raw(str(tmp_path)).records("a.csv")
    assert isinstance(refusal, Refusal) and refusal.reason == "not_utf8"
    assert "title" in refusal.detail and "Windows-1252" in refusal.detail and "Caf" not in refusal.detail
    assert record == {"item_id": "2", "title": "Tea"}


def test_cells_that_stand_for_a_missing_value(tmp_path: Path) -> None:
    cells = ["", "nan", "NaN", "None", "null", "<NA>", "\\N", "NULL"]
    found = read(tmp_path, "item_id,title\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
    assert list(found.values()) == [{"item_id": str(n)} for n in range(len(cells))]


@pytest.mark.parametrize("header", ['item_id,"title', 'item_id,"title"x', "item_id,title,title"])
def test_a_header_that_cannot_be_read_costs_all_rows(tmp_path: Path, header: str) -> None:
    assert read(tmp_path, f"{header}\n1,a\n2,b\n\n3,c\n") == {0: ("not_csv", 3)}


def test_a_header_in_the_middle_is_no_record(tmp_path: Path) -> None:
    found = read(tmp_path, "item_id,title\n1,a\nitem_id,title\n2,b\n")
    assert found[3] == ("not_csv", 1) and len(found) == 3


def test_a_line_without_an_end(tmp_path: Path) -> None:
    found = read(tmp_path, b"item_id,title\n1,a\n2," + b"x" * (17 << 20) + b"\n3,c\n")
    assert found == {2: {"item_id": "1", "title": "a"}, 3: ("record_too_long", 1), 4: {"item_id": "3", "title": "c"}}


@pytest.mark.parametrize("content", ["", "\n", "item_id,title", "item_id,title\n\n"])
def test_no_rows(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == {}


def test_filled_lines_are_counted_alike_in_both_ways() -> None:
    blocks = [
        b"".join(pieces) for size in range(7) for pieces in itertools.product([b"a", b" ", b"\n", b"\r"], repeat=size)
    ]
    assert [text._filled(block) for block in blocks] == [len(text._FILLED.findall(block)) for block in blocks]
