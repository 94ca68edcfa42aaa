"""Airflow's own pages in Debian's Chromium, used as a person would: by clicking."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.services.airflow import DAG

LOOKS_AT_A_LOG = 300
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_MS = 120_000


@dataclass(frozen=True)
class Browser:
    """A page, and the folder that its screenshots go to."""

    page: Page
    screenshots: Path

    def show(self, name: str) -> None:
        self.page.screenshot(path=self.screenshots / f"{name}.png")

    def log_in(self, url: str, name: str, password: str) -> None:
        self.page.goto(url)
        self.page.fill("input[name=username]", name)
        self.page.fill("input[name=password]", password)
        self.show("1-login")
        self.page.get_by_role("button", name="Sign in").click()

    def open_dag(self, dag: str = DAG) -> None:
        self.page.get_by_role("link", name="Dags").first.click()
        self.page.get_by_role("link", name=dag).first.click()
        self.page.wait_for_url(f"**/dags/{dag}**")
        expect(self.page.get_by_role("button", name="Trigger")).to_have_count(1)

    def backfill(self, first: str, last: str, *, active: int, backwards: bool, reprocess: str) -> None:
        """Trigger → Backfill. `reprocess` is a choice as the form words it."""
        form = self._open_form()
        form.get_by_text("Backfill", exact=True).click()
        for place, day in enumerate((first, last)):
            self._choose(form.get_by_test_id("datetime-input").nth(place), day)
        form.get_by_text(reprocess, exact=True).click()
        form.locator("input[name=max_active_runs]").fill(str(active))
        if backwards:
            form.get_by_text("Run Backwards", exact=True).click()
        start = form.get_by_role("button", name="Run Backfill")
        expect(start).to_be_enabled()
        self.show("2-backfill")
        start.click()
        expect(form).to_have_count(0)
        self.show("3-started")

    def trigger(self, night: str, *, profile: str, switches: Sequence[str]) -> None:
        """Trigger → Single Run, with a configuration profile and with these parameters switched on."""
        form = self._open_form()
        self._choose(form.get_by_test_id("datetime-input").first, night)
        self._choose_profile(form).filter(has_text=re.compile(f"^{profile}$")).click()
        for name in switches:
            form.locator(f"label:has(input[name=element_{name}])").click()
            expect(form.locator(f"input[name=element_{name}]")).to_be_checked()
        self.show("2-parameters")
        form.get_by_role("button", name="Trigger").click()
        expect(form).to_have_count(0)

    def profiles(self) -> list[str]:
        """What the form of a single run offers as configuration profiles."""
        return self._choose_profile(self._open_form()).all_inner_texts()

    def see_green(self, nights: int) -> None:
        """The list of the DAG's runs has so many of them, and all of them are a success.

        The list is opened by its address: the page moves under the pointer while runs begin.
        """
        self.page.goto(re.sub(r"/dags/([^/?]+).*", r"/dags/\1/runs", self.page.url))
        runs = self.page.get_by_role("row").filter(has=self.page.get_by_role("cell"))
        expect(runs).to_have_count(nights)
        expect(runs.filter(has_text="Success")).to_have_count(nights)
        self.show("4-green")

    def open_log(self, run_id: str, task_id: str, *, until: re.Pattern[str]) -> str:
        """From the grid to the log of a task; its text once it matches, or the last that there was.

        The page draws the list anew while it loads, so that what is there at one moment may be gone at the next.
        """
        self.page.get_by_test_id(f"grid-{run_id}-{task_id}").click()
        log, text = self.page.get_by_test_id("virtualized-list"), ""
        for _ in range(LOOKS_AT_A_LOG):
            if log.count() and (now := log.first.text_content()):
                text = now
                if until.search(text):
                    break
            self.page.wait_for_timeout(200)
        self.show("5-log")
        return text

    def _choose_profile(self, form: Locator) -> Locator:
        form.get_by_role("combobox", name="Configuration profile").click()
        options = self.page.locator("#element_config [role=option]")
        expect(options).not_to_have_count(0)
        self.show("2-profiles")
        return options

    def _open_form(self) -> Locator:
        self.page.get_by_role("button", name="Trigger").click()
        return self.page.locator("[role=dialog][aria-modal=true]")

    def _choose(self, field: Locator, day: str) -> None:
        field.click()
        calendar = self.page.locator("[data-scope=popover][data-part=content][data-state=open]")
        calendar.get_by_placeholder("YYYY/MM/DD").fill(day.replace("-", "/"))
        calendar.get_by_placeholder("HH:mm").fill("00:00")
        self.page.keyboard.press("Escape")


@contextmanager
def browser(screenshots: Path) -> Iterator[Browser]:
    """Within it, a page of a headless Chromium that keeps nothing; a last screenshot where it ends in an error."""
    screenshots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        started = Browser(page, screenshots)
        try:
            yield started
        except BaseException:
            started.show("error")
            raise
        finally:
            chromium.close()
