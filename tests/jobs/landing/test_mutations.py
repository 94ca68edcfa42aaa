"""Two thousand damaged record files: every row is accounted for, and none changes but those that the damage touched."""

import csv
import gzip
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.landing.raw import Raw, Refusal

MUTANTS = 2000
TITLES = (
    "plain title",
    "comma, inside",
    'the "quoted" one',
    "two\nlines of text",
    "5 inches",
    "Frog 🐸",
    "",
    "a;b|c\td",
)
ROWS: list[dict[str, Any]] = [
    {
        "item_id": f"q-{number:03}",
        "title": f"{TITLES[number % len(TITLES)]} {number}",
        "tags": ["green", f"wet, {number}"],
        "price": number + 0.5,
    }
    for number in range(24)
]


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[dict[str, Any]], **dialect: Any) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), **dialect)
    writer.writeheader()
    writer.writerows({**row, "tags": json.dumps(row["tags"])} for row in rows)
    return text.getvalue().encode()


def parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), data, row_group_size=5, **options)
    return data.getvalue()


SEEDS: dict[str, bytes] = {
    "plain.jsonl": json_lines(ROWS),
    "plain.csv": as_csv(ROWS),
    "quoted.csv": as_csv(ROWS, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n"),
    "two columns.csv": as_csv([{"item_id": row["item_id"], "tags": row["title"]} for row in ROWS], delimiter="\t"),
    "packed.jsonl.gz": gzip.compress(json_lines(ROWS), mtime=0),
    "checked.parquet": parquet(ROWS, write_page_checksum=True, compression="none"),
}
WRITTEN = (b'"', b'""', b'"\n', b"\n", b"\r\n", b"\r", b",", b";", b"\0", b"\xff", b"\\", b"[", b"}", b'",', b"\n\n")
Damage = Callable[[bytes, int, int, np.random.Generator], bytes]
DAMAGES: tuple[Damage, ...] = (
    lambda data, start, end, random: data[:start] + random.bytes(1) + data[start + 1 :],
    lambda data, start, end, random: data[:start] + data[end:],
    lambda data, start, end, random: data[:start],
    lambda data, start, end, random: data[:start] + WRITTEN[random.integers(len(WRITTEN))] + data[start:],
    lambda data, start, end, random: data[:start] + WRITTEN[random.integers(len(WRITTEN))] + data[end:],
    lambda data, start, end, random: data[:end] + data[start:],
)


def mutant(number: int) -> tuple[str, bytes]:
    """Name and content of a seed with one damage: a byte changed, a piece lost, written over or repeated, the end
    lost, something hostile inserted; of a text also two lines exchanged."""
    name = list(SEEDS)[number % len(SEEDS)]
    random = np.random.default_rng(number)
    data = SEEDS[name]
    if name.endswith((".csv", ".jsonl")) and random.random() < 0.1:
        lines = data.splitlines(keepends=True)
        one, other = random.integers(1, len(lines) - 1, 2)
        lines[one], lines[other] = lines[other], lines[one]
        return name, b"".join(lines)
    start = int(random.integers(len(data)))
    return name, DAMAGES[random.integers(len(DAMAGES))](data, start, start + int(random.integers(1, 40)), random)


def rows_accounted(found: list[tuple[int, dict[str, Any] | Refusal]]) -> int:
    return sum((record.rows or 0) if isinstance(record, Refusal) else 1 for _, record in found)


def check_lines(data: bytes, found: list[tuple[int, dict[str, Any] | Refusal]], *, header: bool) -> None:
    """See that every line of a text that is not blank is a record, or stands within one, or is refused."""
    lines = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").encode().splitlines()
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    if header:
        filled = filled[1:]
    starts = [position for position, _ in found]
    assert starts == sorted(set(starts)), "positions rise"
    ends = [*starts, len(lines) + 1][1:]
    owned = 0
    for (position, record), end in zip(found, ends, strict=True):
        mine = [number for number in filled if position <= number < end]
        owned += len(mine)
        if isinstance(record, Refusal):
            continue
        text = "\n".join(map(str, record.values()))
        for number in mine[1:]:
            words = re.findall(r"\w+", lines[number - 1].decode())
            assert all(word in text for word in words), "what stands on a line within a record is in its cells"
    assert owned == len(filled), "no line is left out"


def untouched(original: bytes, changed: bytes) -> tuple[set[int], int]:
    """Lines of the original, from 1, that have neither their bytes nor their ends touched by the damage; and the first
    line that it touches."""
    same = next((n for n, (a, b) in enumerate(zip(original, changed, strict=False)) if a != b), len(changed))
    tail = 0
    limit = min(len(original), len(changed)) - same
    while tail < limit and original[-1 - tail] == changed[-1 - tail]:
        tail += 1
    lines = original.splitlines(keepends=True)
    starts = np.cumsum([0, *map(len, lines)])
    kept = {
        number
        for number, (start, end) in enumerate(itertools.pairwise(starts), 1)
        if end < same or start > len(original) - tail
    }
    return kept, min(set(range(1, len(lines) + 1)) - kept, default=0)


def changed_elsewhere(
    before: list[tuple[int, dict[str, Any] | Refusal]],
    after: list[tuple[int, dict[str, Any] | Refusal]],
    kept: set[int],
) -> int:
    """How many records of lines that were not touched are no longer what they were."""
    now = [record for _, record in after]
    ends = [position for position, _ in before[1:]]
    return sum(
        record not in now
        for (position, record), end in zip(before, ends, strict=False)  # the last row ends where the file does
        if set(range(position, end)) <= kept
    )


def test_every_row_of_every_mutant_is_accounted_for_and_no_other_row_changes(tmp_path: Path) -> None:
    raw, ends = Raw(str(tmp_path)), Counter[str]()
    whole: dict[str, list[tuple[int, dict[str, Any] | Refusal]]] = {}
    for name, data in SEEDS.items():
        (tmp_path / name).write_bytes(data)
        whole[name] = list(raw.records(name))
        assert len(whole[name]) == len(ROWS)
    for number in range(MUTANTS):
        name, data = mutant(number)
        (tmp_path / name).write_bytes(data)
        records = raw.records(name)
        found = list(records)
        try:
            unknown = any(isinstance(record, Refusal) and record.rows is None for _, record in found)
            assert (records.counted is None) == unknown
            ends[f"{name.partition('.')[2]} {'unknown' if unknown else 'counted'}"] += 1
            if unknown:
                continue
            assert records.counted == rows_accounted(found)
            if name.endswith(".parquet"):
                assert records.counted == pq.ParquetFile(tmp_path / name).metadata.num_rows
                continue
            if name.endswith(".gz"):
                data = gzip.decompress(data)
            kept, first = untouched(json_lines(ROWS) if name.endswith(".gz") else SEEDS[name], data)
            if name.endswith(".csv") and first <= 1:
                continue  # the header is every row's
            check_lines(data, found, header=name.endswith(".csv"))
            ends["other rows changed"] += changed_elsewhere(whole[name], found, kept)
            ends["compared"] += 1
        except Exception as error:
            raise AssertionError(f"mutant {number} of {name}: {data!r}") from error
    assert ends["other rows changed"] == 0
    assert ends["compared"] > MUTANTS // 2
    assert ends["jsonl unknown"] == ends["csv unknown"] == 0
    assert min(ends[end] for end in ("jsonl counted", "csv counted", "parquet counted", "parquet unknown")) > 50, ends
    assert ends["jsonl.gz unknown"] > 50
