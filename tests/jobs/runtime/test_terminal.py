"""A line a step at a terminal, and a log that is kept where the night fails."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.runtime.night import NightError
from jobs.runtime.terminal import StepLines, step_lines

WARNED = "[info     ] 01:00:00 WARNING nightweave.arrival: no data, as declared [airflow.task] loc=x\n"
EXTRACTED = "01:00:10 INFO nightweave.extract: extract_image: 3 of 12 done, 1.5/s, 6 s left, 1 refused [airflow.task]\n"


def test_a_step_has_a_line_with_a_bar_and_its_warnings(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    drawn = io.StringIO()
    with (tmp_path / "log").open() as log, (tmp_path / "log").open("a") as said:
        lines = StepLines(drawn, log)
        lines.begin("extract_image")
        said.write(EXTRACTED + WARNED)
        said.flush()
        lines.end()
        lines.begin("train")
        lines.end("failed")
    shown = drawn.getvalue()
    assert re.search(r"extract_image +00:00 \|[^|]+\| 3 of 12, 1\.5/s, 6 s left, 1 refused", shown)
    assert "\n  no data, as declared\n" in shown.replace("\r", "\n")
    assert re.search(r"train +00:00, failed", shown)


def test_what_steps_say_is_hidden_where_the_night_succeeds(capfd: pytest.CaptureFixture[str]) -> None:
    with step_lines() as lines:
        os.write(1, b"of this process\n")
        subprocess.run([sys.executable, "-c", "print('of another')"], check=True)
        lines.begin("clean")
        lines.end()
    print("afterwards")
    shown = capfd.readouterr()
    assert "clean" in shown.out and shown.out.endswith("afterwards\n")
    assert "of this" not in shown.out and "of another" not in shown.out


def test_the_log_is_kept_and_its_end_shown_where_the_night_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), step_lines() as lines:
        lines.begin("clean")
        for number in range(100):
            os.write(1, b"line %d\n" % number)
        raise RuntimeError("it failed")
    shown = capfd.readouterr().out
    assert "clean" in shown and "stopped" in shown
    assert "line 99\n" in shown and "line 9\n" not in shown
    (log,) = re.findall(r"The log of all steps: (\S+)", shown)
    assert Path(log).read_text().startswith("line 0\n")
    Path(log).unlink()


def test_an_error_with_a_sentence_of_its_own_is_not_buried_under_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NightError), step_lines():
        os.write(1, b"a line of the log\n")
        raise NightError("the night failed in clean: no space")
    shown = capfd.readouterr().out
    (log,) = re.findall(r"The log of all steps: (\S+)", shown)
    assert Path(log).read_text() == "a line of the log\n" and "a line of the log" not in shown
    Path(log).unlink()
