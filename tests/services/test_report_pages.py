"""The report in a browser: nothing is cut, nothing complains, and the switches work without a script."""

import datetime as dt
from pathlib import Path

import pytest

from jobs.report import write_report
from lake.lake import Lake
from tests.jobs import test_report as made
from tests.services.browser import CHROMIUM, browser

WIDTHS = (390, 1600)
CUT = """() => [...document.querySelectorAll('main *')].filter(each => each.getBoundingClientRect().right >
    document.documentElement.clientWidth + 1 && !each.closest('.scroll')).map(each => each.outerHTML.slice(0, 80))"""
OFFERS = [(language, colours) for language in ("en", "zh") for colours in ("light", "dark")]


@pytest.mark.services
@pytest.mark.skipif(not CHROMIUM.is_file(), reason="Chromium is not installed; `make services` installs Debian's")
def test_a_page_fits_and_changes_its_language_and_colours(lake: Lake, tmp_path: Path) -> None:
    for night in (made.BEFORE, made.NIGHT):
        made.account(lake, night, clean_items=3, recommend=2)
        made.shelf(lake, night, ["A" * 90, "登峰矮凳" * 20])
    made.model(lake)
    made.judge(lake, {("stack", "ndcg", 20): 0.3, ("ease", "ndcg", 20): 0.32, ("stack without text", "ndcg", 20): 0.31})
    page = write_report(lake, dt.date(2026, 11, 2), warn_lost_share=0.05)
    with browser(tmp_path / "shots") as opened:
        complaints: list[str] = []
        opened.page.on("console", lambda message: complaints.append(message.text))
        grounds = set()
        for name in (Path(page).name, "index.html"):
            opened.page.goto(Path(page).with_name(name).as_uri())
            for language, colours in OFFERS:
                opened.page.click(f"label[for={language}]")
                opened.page.click(f"label[for={colours}]")
                grounds.add((colours, opened.page.evaluate("getComputedStyle(document.body).backgroundColor")))
                heading = opened.page.inner_text("h1")
                assert ("夜" in heading) == (language == "zh") and ("night" in heading) == (language == "en"), heading
                for width in WIDTHS:
                    opened.page.set_viewport_size({"width": width, "height": 900})
                    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
                    assert opened.page.evaluate(CUT) == []
        assert grounds == {("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 27)")}
        assert complaints == []
