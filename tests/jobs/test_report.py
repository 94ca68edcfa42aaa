"""The report shows what the tables hold: in words, in drawings, in two languages, and nothing that it should not."""

import datetime as dt
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from markupsafe import Markup
from PIL import Image

from jobs.landing.raw import Raw
from jobs.report import write_report
from jobs.reporting import charts, contents
from jobs.reporting.headline import Standing
from jobs.reporting.pictures import Album, Media
from jobs.runtime.night import UserError
from lake.lake import Lake
from schemas.features import FeaturesImage
from schemas.table import Table
from schemas.tables import (
    Costs,
    Explanations,
    Interactions,
    ItemEmbeddings,
    Items,
    Ledger,
    Metrics,
    Models,
    Quarantine,
    Recommendations,
)
from tests.test_schemas import a_row

NIGHT = dt.date(2026, 11, 2)
BEFORE = dt.date(2026, 11, 1)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VERDICT = (
    "users with history: holds its own against popularity (ndcg@20 +0.0500 ± 0.0100); "
    "users with history: holds its own against ease (ndcg@20 -0.0200 ± 0.0250)"
)


class Page(HTMLParser):
    """What a person reads in one language: a list of texts under every heading, and the page's tags."""

    def __init__(self, page: str, *, tongue: str = "en") -> None:
        super().__init__()
        self.under: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[tuple[str, str]] = []
        self._other = {"en": "zh", "zh": "en"}[tongue]
        self._heading = ""
        self.feed(page)

    def text(self, heading: str) -> str:
        """What stands under a heading, without the spaces that tags leave."""
        return re.sub(r" ([.,;:!?])", r"\1", " ".join(self.under[heading].split()))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "img", "br", "link"):
            self._open.append((tag, dict(attrs).get("class") or ""))
        if tag in ("h2", "h3"):
            self._heading = ""

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        if tag in ("h2", "h3"):
            self.under.setdefault(self._heading.strip(), "")

    def handle_data(self, data: str) -> None:
        within = [tag for tag, _ in self._open]
        if "style" in within or any(self._other in kind.split() for _, kind in self._open):
            return
        if {"h2", "h3"} & set(within):
            self._heading += data
        elif self._heading.strip() in self.under:
            self.under[self._heading.strip()] += f" {' '.join(data.split())}"


def put(lake: Lake, table: type[Table], rows: list[dict[str, Any]], night: dt.date = NIGHT, **partition: str) -> None:
    filled = [a_row(table, {"date": night, **row}) for row in rows]
    lake.write(table, pa.Table.from_pylist(filled, schema=table.schema), {"date": str(night), **partition})


def account(lake: Lake, night: dt.date = NIGHT, **steps: int) -> None:
    """The night's ledger, without which there is nothing to report; `steps` are how many rows each was given."""
    for step, rows in (steps or {"clean_items": 3}).items():
        row = {"step": step, "rows_in": rows, "kept": rows, "unknown_columns": []}
        put(lake, Ledger, [row], night, step=step)


def judge(lake: Lake, figures: dict[tuple[str, str, int | None], float], night: dt.date = NIGHT) -> None:
    """Figures of (model, metric, k) on users with history; those of nDCG, and leads in it, with intervals of ± 0.03."""
    rows = [
        {"model_version": "m-1", "model": model, "split": "per_user", "segment": "all", "metric": metric, "k": k}
        | {"value": value}
        | ({"low": value - 0.03, "high": value + 0.03} if metric in ("ndcg", "ndcg_lead") else {})
        for (model, metric, k), value in figures.items()
    ]
    put(lake, Metrics, rows, night)


def model(lake: Lake, night: dt.date = NIGHT, **values: Any) -> None:
    put(
        lake,
        Models,
        [{"strategy": "stack", "model_version": "stack-1", "promoted": True, "verdict": VERDICT, **values}],
        night,
    )


def page(lake: Lake, *, night: dt.date = NIGHT, **options: Any) -> str:
    return Path(write_report(lake, night, **{"warn_lost_share": 0.05, **options})).read_text("utf-8")


def section(lake: Lake, heading: str, *, tongue: str = "en", **options: Any) -> str:
    return Page(page(lake, **options), tongue=tongue).text(heading)


@pytest.fixture
def judged(lake: Lake) -> Lake:
    """A promoted model that ease beats, and that ranks better without text."""
    account(lake)
    model(lake)
    figures = {"stack": 0.30, "ease": 0.32, "popularity": 0.25, "stack without text": 0.31, "stack without image": 0.28}
    judge(lake, {(name, "ndcg", 20): value for name, value in figures.items()} | {("ease", "ndcg_lead", 20): -0.02})
    return lake


def test_whoever_reads_the_headline_learns_that_a_baseline_wins(judged: Lake) -> None:
    says = section(judged, "In three lines")
    assert "▲" not in says and "Look at this" in says
    told = "Tonight's model stack-1 was promoted and serves. A baseline may rank better: EASE for users with history."
    assert told in says
    assert (
        "It loses to the baseline EASE for users with history: nDCG@20 0.300 against 0.320,"
        " a difference of −0.020 [−0.050, +0.010] on the same users, which may be chance." in says
    )
    assert "ranks better without text (0.310) than with all it has (nDCG@20 0.300)" in says
    assert "How to read ±" in says


def test_without_a_paired_test_the_intervals_tell(lake: Lake) -> None:
    """0.35 - 0.03 is above 0.28 + 0.03."""
    account(lake)
    model(lake, verdict="no held-out likes to judge by")
    judge(lake, {("stack", "ndcg", 20): 0.28, ("item_knn", "ndcg", 20): 0.35})
    says = section(lake, "In three lines")
    assert "0.280 against 0.350; their 95% intervals do not meet." in says
    assert "A baseline ranks better: item-kNN for users with history." in says


def test_a_model_ahead_of_all_is_good(lake: Lake) -> None:
    account(lake)
    model(lake)
    judge(lake, {("stack", "ndcg", 20): 0.38, ("ease", "ndcg", 20): 0.32, ("ease", "ndcg_lead", 20): 0.06})
    says = section(lake, "In three lines")
    assert says.startswith("Good Tonight's model")
    assert "a difference of +0.060 [+0.030, +0.090] on the same users." in says


@pytest.mark.parametrize(("without", "word"), [(0.40, "Good"), (0.45, "Look at this")])
def test_a_modality_that_costs_more_than_chance_is_a_warning(lake: Lake, without: float, word: str) -> None:
    """Intervals are of ± 0.03: those of 0.38 and 0.40 meet, those of 0.38 and 0.45 do not."""
    account(lake)
    model(lake)
    judge(lake, {("stack", "ndcg", 20): 0.38, ("ease", "ndcg", 20): 0.32, ("stack without text", "ndcg", 20): without})
    says = section(lake, "In three lines")
    assert says.startswith(f"{word} Tonight's model") and "ranks better without text" in says


def test_figures_are_of_the_model_that_serves(lake: Lake) -> None:
    """The night's model is refused: the last promoted one is held against the baselines, without its own test."""
    account(lake)
    put(lake, ItemEmbeddings, [{"item_id": "i", "model_version": "stack-0", "vector": [0.5]}])
    model(lake, promoted=False)
    judge(lake, {("stack", "ndcg", 20): 0.40, ("last_promoted", "ndcg", 20): 0.31, ("ease", "ndcg", 20): 0.32})
    says = section(lake, "In three lines")
    assert "Tonight's model stack-1 was not promoted; stack-0 serves." in says
    assert "0.310 against 0.320; their 95% intervals overlap" in says


def test_what_is_not_published_is_said_first(judged: Lake) -> None:
    said = page(judged, standing=Standing(published=False, reason="verify: 2 promises <broken>"))
    assert Page(said).text("In three lines").startswith("Act on this Not published: readers still see")
    assert "verify: 2 promises &lt;broken&gt;" in said
    published = section(judged, "In three lines", standing=Standing(published=True))
    assert published.startswith("Look at this Published. Tonight's model")


def test_a_night_without_a_model(lake: Lake) -> None:
    account(lake)
    assert "No model was evaluated on this night." in section(lake, "In three lines")
    assert "There are no figures" in section(lake, "The model")
    with pytest.raises(UserError, match="has nothing of the night 2026-11-01"):
        page(lake, night=BEFORE)


def test_both_languages_are_there_and_only_one_is_shown(judged: Lake) -> None:
    said = page(judged)
    english, chinese = (re.findall(f'<span class="{tongue}"', said) for tongue in ("en", "zh"))
    assert len(english) == len(chinese) > 50
    assert "对于 有历史的用户 ，它输给了基线 EASE" in Page(said, tongue="zh").text("三行摘要")
    assert "本夜的模型" not in Page(said, tongue="en").text("In three lines")


def test_what_was_refused_has_file_and_line(lake: Lake) -> None:
    account(lake)
    put(
        lake,
        Quarantine,
        [
            {
                "source": "items/ds=2026-11-02/a.jsonl",
                "position": 7,
                "reason": "not_json",
                "rows": 1,
                "detail": HOSTILE,
            },
            {
                "source": "items/ds=2026-11-02/b.csv",
                "position": 0,
                "reason": "unknown_format",
                "rows": 0,
                "detail": "d",
            },
        ],
        stage="clean_items",
    )
    refused = section(lake, "Refused")
    assert "items/ds=2026-11-02/a.jsonl:7" in refused and "b.csv" in refused and "b.csv:" not in refused


def test_curves_are_drawn(lake: Lake) -> None:
    """The isotonic function gives one value to all of bin 1; other nights stay out of it."""
    account(lake)
    model(lake)
    points: dict[tuple[str, int | None], float] = {
        ("platt_predicted", 10): 0.25,
        ("platt_observed", 10): 0.5,
        ("platt_predicted", 2): 0.0625,
    }
    points |= {("platt_observed", 2): 0.03125, ("isotonic_predicted", 10): 0.375, ("isotonic_observed", 10): 0.4375}
    points |= {("platt_error", None): 0.125, ("roc", 0): 0.0, ("roc", 100): 1.0, ("pr", 0): 0.5, ("pr", 100): 0.1}
    judge(lake, {("stack", metric, k): value for (metric, k), value in points.items()})
    said = page(lake)
    drawn = {
        name: svg for name, svg in re.findall(r'<svg class="chart" role="img" aria-label="([^"]+)"(.*?)</svg>', said)
    }
    assert drawn["Calibration · 概率校准"].count("<circle") == 3
    assert 'class="line serving"' in drawn["ROC curve · ROC 曲线"] and 'class="mark"' in drawn["ROC curve · ROC 曲线"]
    assert "Mean error: Platt 0.125" in Page(said).text("Curves")


def cost(lake: Lake, night: dt.date, rows: list[dict[str, Any]]) -> None:
    """Rows of `costs` of steps that began one after the other."""
    began = dt.datetime.combine(night, dt.time(1), dt.UTC)
    put(
        lake,
        Costs,
        [{"outcome": "done", "began": began + dt.timedelta(minutes=n), **row} for n, row in enumerate(rows)],
        night,
    )


def test_what_each_step_cost_and_the_night_together(lake: Lake) -> None:
    account(lake)
    account(lake, BEFORE)
    image = {"step": "extract_image", "modality": "image", "wall_s": 30.5, "cpu_s": 40.0, "peak_memory_bytes": 3 << 30}
    train = {"step": "train", "wall_s": 9.5, "cpu_s": 5.25, "bytes_read": 1536, "outcome": "failed"}
    cost(lake, BEFORE, [{"step": "train", "wall_s": 100.0, "cpu_s": 100.0}])
    cost(lake, NIGHT, [image | {"spark": "cluster", "gpu_s": 7.5}, train, {"step": "reextract_text", "wall_s": 500.0}])
    said = page(lake)
    words = Page(said).text("Time and cost")
    assert "features of pictures without executors seconds 30.5 processor seconds 40.0 peak memory 3.0 GiB" in words
    assert (
        "GPU seconds 7.5" in words
        and "read 1.5 KiB" in words
        and "together seconds 40.0 processor seconds 45.2" in words
    )
    assert "training failed seconds 9.5" in words and "500.0" not in words and "100.0" not in words
    (drawn,) = re.findall(r'aria-label="Seconds by step[^>]+>(.*?)</svg>', said)
    assert re.findall(r'<rect class="(\w+)"', drawn) == ["train", "image", "train"], "a column a night"
    assert "训练 失败 秒 9.5" in Page(said, tongue="zh").text("时间与成本")


def test_a_night_whose_costs_nobody_knows(judged: Lake) -> None:
    assert "Nothing is known of what this night's steps cost" in section(judged, "Time and cost")


def test_modalities_that_items_have_lost(lake: Lake) -> None:
    for night, images in ((BEFORE, 20), (NIGHT, 19)):
        account(lake, night)
        rows = [
            {"item_id": f"i{n}", "vector": [0.5], "modalities": ["text", "image"] if n < images else ["text"]}
            for n in range(20)
        ]
        put(lake, ItemEmbeddings, rows, night)
    heading, told = "Modalities that items have lost", "1 of the 20 items that had it on 2026-11-01 lack it now (5.0%)"
    assert told in section(lake, heading) and "Look at this" not in section(lake, heading)
    assert "Look at this" in section(lake, heading, warn_lost_share=0.04)
    assert "19 95%" in section(lake, "Items that have it")


def shelf(lake: Lake, night: dt.date, items: list[str], user: str = "u") -> None:
    rows = [
        {"user_id": user, "shelf": "for_you", "rank": rank, "item_id": item, "score": 2.0, "contribution_history": 3.0}
        | {"contribution_text": -1.0, "probability": 0.031}
        for rank, item in enumerate(items, 1)
    ]
    put(lake, Recommendations, rows, night)


def test_what_came_and_left_since_the_last_night(lake: Lake) -> None:
    for night in (BEFORE, NIGHT):
        account(lake, night, clean_items=2, recommend=2)
    put(lake, Items, [{"item_id": i, "title": f"The {i}"} for i in ("a", "b", "c", "d", "e")], BEFORE)
    put(lake, Items, [{"item_id": "d", "title": "The d", "deleted": True}])
    put(lake, Interactions, [{"user_id": "u", "item_id": "c", "event": "like"}])
    shelf(lake, BEFORE, ["a", "b", "c", "d"])
    shelf(lake, NIGHT, ["b", "e"])
    said = Page(page(lake)).text
    assert "1. The b 3.1% likely was 2" in said("u") and "2. The e 3.1% likely new tonight" in said("u")
    left = said("u").partition("Left the shelf")[2]
    for item, why in (("a", "was 1; others rank higher"), ("c", "was 3; used since"), ("d", "was 4; left the catalog")):
        assert f"The {item} {why}" in left
    assert "1 people have shelves, +0 compared with 2026-11-01." in said("In three lines")
    assert "50% of the places on shelves are new, for 1 of 1 people" in said("In three lines")


def test_what_lowers_a_score_stands_on_the_other_side() -> None:
    """3 above 0 and 1 below: three quarters of the width and one quarter; a score of 1 fills a third of its side."""
    drawn = charts.contributions({"history": 3.0, "text": -1.0, "image": 0.0}, most=3.0, least=-1.0)
    assert drawn == Markup(
        '<span class="signed" aria-hidden="true">'
        '<span class="side minus" style="width:25.0%"><i class="text minus" style="width:100.0%"></i></span>'
        '<span class="side plus" style="width:75.0%"><i class="history plus" style="width:100.0%"></i></span></span>'
    )
    small = charts.contributions({"history": 1.0}, most=3.0, least=-1.0)
    assert '<span class="side minus" style="width:25.0%"></span>' in small
    assert '<i class="history plus" style="width:33.33%"></i>' in small


def test_places_say_which_likes_they_owe(lake: Lake) -> None:
    account(lake)
    put(lake, Items, [{"item_id": "a", "title": "The a"}, {"item_id": "c", "title": HOSTILE}])
    shelf(lake, NIGHT, ["a"])
    why = {"user_id": "u", "shelf": "for_you", "item_id": "a"}
    rows = [
        {"because_item_id": "b", "owed": 0.1, "share": 0.2, "rank_without": 1},
        {"because_item_id": "c", "owed": 0.4, "share": 0.61, "rank_without": 14, "shared_words": ["oak"]}
        | {"shared_hues": ["red"], "shared_tempo_bpm": 120.0},
    ]
    put(lake, Explanations, [why | row for row in rows])
    said = section(lake, "u")
    first, second = said.index("would be at place 14; that like is 61% of what likes add."), said.index("is 20% of")
    assert first < second, "the heaviest first"
    assert "Without the like of “b” it would still be at place 1;" in said
    assert "what likes add. Both: oak, red, 120 beats a minute" in said
    assert "共同点：" in section(lake, "u", tongue="zh") and "红色" in section(lake, "u", tongue="zh")
    assert "<script>" not in page(lake)


def test_signs_are_printed_too(lake: Lake) -> None:
    account(lake)
    shelf(lake, NIGHT, ["a"])
    assert "2.000 = history +3.000 text −1.000" in section(lake, "u")
    assert "3.1% likely" in section(lake, "u")


def test_titles_and_names_are_hostile(lake: Lake) -> None:
    account(lake)
    model(lake, verdict=HOSTILE, model_version=HOSTILE)
    put(lake, Items, [{"item_id": HOSTILE, "title": HOSTILE, "category": HOSTILE}])
    put(lake, Interactions, [{"user_id": HOSTILE, "item_id": HOSTILE, "event": HOSTILE}])
    shelf(lake, NIGHT, [HOSTILE], user=HOSTILE)
    row = {"source": HOSTILE, "position": 1, "record_id": HOSTILE, "reason": HOSTILE, "detail": HOSTILE}
    put(lake, Quarantine, [row], stage="clean_items")
    shown = Page(page(lake))
    assert not {"script", "img"} & {tag for tag, _ in shown.tags}
    assert not [attrs for _, attrs in shown.tags if any(name.startswith("on") for name in attrs)]
    assert "alert(1)" in shown.text("Refused")


def test_the_page_needs_nothing_else(judged: Lake) -> None:
    """No script, nothing loaded from anywhere, and every wide table in a box that scrolls or breaks into blocks."""
    said = page(judged)
    shown = Page(said)
    assert "http" not in said and "url(" not in said
    assert {"script", "link", "iframe", "object"}.isdisjoint(tag for tag, _ in shown.tags)
    assert ("meta", {"name": "nightweave-report-format", "content": "2"}) in shown.tags
    boxed = re.findall(r'<div class="scroll" role="region" tabindex="0" aria-label="[^"]+">\s*<table', said)
    tables = [attrs.get("class") for tag, attrs in shown.tags if tag == "table"]
    assert len(tables) > 5 and len(boxed) + tables.count("dots") >= len(tables)
    assert all(attrs.get("scope") for tag, attrs in shown.tags if tag == "th")


@pytest.mark.parametrize("metric", ["ndcg", "recall"])
def test_the_figure_that_decides_stands_beside_the_models_name(lake: Lake, metric: str) -> None:
    account(lake)
    model(lake, verdict=VERDICT.replace("ndcg", metric))
    judge(lake, {("stack", "ndcg", 20): 0.3, ("stack", "recall", 20): 0.5, ("stack", "coverage", 20): 0.7})
    said = page(lake)
    heads = re.search(r"<thead><tr><th[^>]*>.*?</th>((?:<th[^>]*>\w+</th>)+)</tr></thead>", said)
    assert heads
    metrics = re.findall(r"<th[^>]*>(\w+)</th>", heads[1])
    assert metrics[0] == metric and {"ndcg", "recall", "coverage"} <= set(metrics) and len(set(metrics)) == len(metrics)


def test_pictures_are_in_the_page(lake: Lake, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "media").mkdir(parents=True)
    Image.new("RGB", (40, 20), (200, 30, 30)).save(raw / "media" / "red.png")
    Image.new("RGB", (40, 20), (30, 30, 200)).save(tmp_path / "secret.png")
    key = hashlib.sha256((raw / "media" / "red.png").read_bytes()).hexdigest()
    secret = hashlib.sha256((tmp_path / "secret.png").read_bytes()).hexdigest()
    files = {"a": ("media/red.png", key), "out": ("../secret.png", secret), "gone": ("media/no.png", "0" * 64)}
    files |= {"other": ("media/red.png", secret)}
    put(lake, Items, [{"item_id": i, "title": i, "image_uris": [u], "image_keys": [k]} for i, (u, k) in files.items()])
    account(lake)
    shelf(lake, NIGHT, list(files))
    images = [attrs for tag, attrs in Page(page(lake, raw=Raw(str(raw)))).tags if tag == "img"]
    assert [(each["alt"], str(each["src"])[:23]) for each in images] == [("a", "data:image/webp;base64,")]
    assert "img" not in {tag for tag, _ in Page(page(lake)).tags}


def test_pictures_take_no_more_room_than_there_is() -> None:
    album = Album(None, {"a": Media("A", None, {"image": ("a.png", "k")})}, left=25)
    album._previews["image", "k"] = "data:image/webp;base64,"  # 23 characters
    assert [album.card("a").picture is None for _ in range(2)] == [False, True]
    assert album.card("nobody knows it").title == "nobody knows it"


def test_pictures_that_are_nearly_the_same(lake: Lake) -> None:
    account(lake)
    put(lake, Items, [{"item_id": i, "title": f"The {i}", "image_keys": [f"k{i}"], "image_uris": ["f"]} for i in "abc"])
    hashes = {"ka": 5, "kb": 5, "kc": 6}
    rows = [
        a_row(FeaturesImage, {"content_key": k, "encoder": "e-1", "vector": [0.5], "perceptual_hash": h})
        for k, h in hashes.items()
    ]
    lake.write(FeaturesImage, pa.Table.from_pylist(rows, schema=FeaturesImage.schema), {"encoder": "e-1"})
    found = section(lake, "Pictures that are nearly the same")
    assert "1 groups of items" in found and "The a" in found and "The b" in found and "The c" not in found


def test_drift_by_hand() -> None:
    """Two at 1 and two at 0: squares about the mean add up to 1, over 3, times (1/2 + 1/2); the means are 1 apart."""
    ones, zeros = np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32)
    assert contents.drift(ones, zeros)[0] == pytest.approx(3.0)
    assert contents.drift(ones, ones) == (0.0, 0.0)


def test_drift_is_found_and_only_where_it_is() -> None:
    random = np.random.default_rng(1)
    before, same = random.normal(size=(400, 16)), random.normal(size=(40, 16))
    distance, threshold = contents.drift(same.astype(np.float32), before.astype(np.float32))
    assert distance < threshold < 2.5
    distance, threshold = contents.drift((same + 0.3).astype(np.float32), before.astype(np.float32))
    assert distance > threshold


def test_the_nights_at_a_glance(judged: Lake, tmp_path: Path) -> None:
    """A night without a page has no link; the newest night stands first."""
    account(judged, BEFORE, clean_items=4, clean_interactions=5, recommend=3)
    page(judged)
    index = Page((tmp_path / "lake" / "reports" / "index.html").read_text("utf-8"))
    assert [attrs["href"] for tag, attrs in index.tags if tag == "a"] == ["2026-11-02.html"]
    page(judged, night=BEFORE)
    said = (tmp_path / "lake" / "reports" / "index.html").read_text("utf-8")
    assert [a["href"] for tag, a in Page(said).tags if tag == "a"] == ["2026-11-02.html", "2026-11-01.html"]
    assert "promoted, loses to a baseline" in said and "0.300" in said
    assert 'href="2026-11-01.html">← 2026-11-01' in page(judged)


def test_one_column_far_above_all_others_is_cut_off_and_says_so() -> None:
    """10 is not above 4 times 5; 100 is: the axis ends at 1.25 times 5."""
    nights = [BEFORE, NIGHT]
    both = [charts.columns(nights, [[("kept", high)], [("kept", 5)]], label="x") for high in (10, 100)]
    assert ["↑ 100" in svg for svg in both] == [False, True]
    assert [svg.count('height="118.0"') for svg in both] == [1, 1], "the higher one fills the frame"
    assert 'height="59.0"' in both[0] and 'height="94.4"' in both[1]
