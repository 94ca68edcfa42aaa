"""The report shows what the tables hold."""

import datetime as dt
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa

from jobs.report import write_report
from lake.lake import Lake
from schemas.tables import ItemEmbeddings, Ledger, Metrics
from tests.test_schemas import a_row

NIGHT = dt.date(2026, 11, 1)
BEFORE = dt.date(2026, 10, 31)


class Headed(HTMLParser):
    """Collects the rows of text under every second-level heading."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self._in: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._in.append(tag)
        if tag == "tr" and self.rows:
            self.rows[list(self.rows)[-1]].append([])
        if tag in ("td", "th") and self.rows:
            self.rows[list(self.rows)[-1]][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._in and self._in.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._in[-1:] == ["h2"]:
            self.rows[data] = []
        elif self._in[-1:] in (["td"], ["th"]):
            self.rows[list(self.rows)[-1]][-1][-1] += data


def account(lake: Lake) -> None:
    """The night's ledger, without which there is nothing to report."""
    row = {"date": NIGHT, "step": "clean_items", "rows_in": 3, "kept": 3, "refused": 0, "duplicates": 0}
    row |= {"superseded": 0, "unknown_columns": []}
    lake.write(Ledger, pa.Table.from_pylist([row], schema=Ledger.schema), {"date": NIGHT, "step": "clean_items"})


def judge(lake: Lake, figures: dict[tuple[str, int | None], float], night: dt.date = NIGHT) -> None:
    of = {"date": night, "model_version": "m-1", "model": "content", "split": "per_user", "segment": "all"}
    rows = [{**of, "metric": metric, "k": k, "value": value} for (metric, k), value in figures.items()]
    lake.write(Metrics, pa.Table.from_pylist(rows, schema=Metrics.schema), {"date": night})


def section(lake: Lake, title: str, *, warn_lost_share: float = 0.05) -> list[list[str]]:
    return Headed(Path(write_report(lake, NIGHT, warn_lost_share=warn_lost_share)).read_text("utf-8")).rows[title]


def test_calibration_by_bins(lake: Lake) -> None:
    """The isotonic function gives one value to all of bin 1; other metrics and other nights stay out of it."""
    account(lake)
    judge(lake, {("platt_predicted", 1): 0.9, ("platt_error", None): 0.9}, night=BEFORE)
    judge(
        lake,
        {
            ("platt_predicted", 10): 0.25,
            ("platt_observed", 10): 0.5,
            ("platt_predicted", 2): 0.0625,
            ("platt_observed", 2): 0.03125,
            ("platt_error", None): 0.125,
            ("isotonic_predicted", 10): 0.375,
            ("isotonic_observed", 10): 0.4375,
            ("isotonic_error", None): 0.0,
            ("roc", 2): 0.7,
            ("ndcg", 10): 0.3,
        },
    )
    heads, *rows = section(lake, "Calibration: scores as probabilities")
    assert heads == [
        "model",
        "bin",
        "Platt: predicted",
        "Platt: observed",
        "Platt: error",
        "isotonic: predicted",
        "isotonic: observed",
        "isotonic: error",
    ]
    assert rows == [
        ["content", "2", "0.0625", "0.0312", "", "", "", ""],
        ["content", "10", "0.2500", "0.5000", "", "0.3750", "0.4375", ""],
        ["content", "all", "", "", "0.1250", "", "", "0.0000"],
    ]


def test_without_calibration_its_section_is_empty(lake: Lake) -> None:
    account(lake)
    judge(lake, {("ndcg", 10): 0.3})
    assert section(lake, "Calibration: scores as probabilities") == []


def test_modalities_that_items_have_lost(lake: Lake) -> None:
    account(lake)
    for night, images in ((BEFORE, 20), (NIGHT, 19)):
        rows = [
            a_row(ItemEmbeddings, {"date": night, "item_id": f"i{n}", "vector": [0.5], "modalities": ["text"]})
            | ({"modalities": ["text", "image"]} if n < images else {})
            for n in range(20)
        ]
        lake.write(ItemEmbeddings, pa.Table.from_pylist(rows, schema=ItemEmbeddings.schema), {"date": night})
    title = "Modalities that items have lost"
    assert section(lake, title)[1:] == [["image", "2026-10-31", "20", "1", "0.0500", ""]]
    assert section(lake, title, warn_lost_share=0.04)[1:] == [["image", "2026-10-31", "20", "1", "0.0500", "WARNING"]]
