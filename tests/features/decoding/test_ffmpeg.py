import os
import sys
from pathlib import Path

import pytest

from features.base import MediaError
from features.decoding import ffmpeg
from features.decoding.limited_process import run_limited


def test_ffmpeg_on_path_comes_before_the_packaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "ffmpeg"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ffmpeg.ffmpeg_exe.__wrapped__() == str(own)
    own.unlink()
    found = ffmpeg.ffmpeg_exe.__wrapped__()
    assert "imageio_ffmpeg" in found
    assert os.access(found, os.X_OK)


def test_messages_name_neither_addresses_nor_folders() -> None:
    words = "[mov @ 0x55d0c0ffee] moov atom not found\nError opening file:/secret/folder/a.mp4"
    assert (
        ffmpeg._error_message(words, Path("/secret/folder/a.mp4")) == "[mov] moov atom not found; Error opening a.mp4"
    )


def test_output_and_error_output_of_a_process() -> None:
    done = run_limited(("sh", "-c", "echo out; yes error | head -n 100000 >&2; echo the end >&2; exit 3"), timeout_s=20)
    assert (done.status, done.output) == (3, b"out\n")
    assert done.stderr_tail.endswith("the end")
    assert len(done.stderr_tail) <= 2000


def test_a_process_is_killed_at_its_time_limit_and_gets_no_input() -> None:
    with pytest.raises(MediaError, match=r"timeout.*0\.2 s"):
        run_limited(("sleep", "60"), timeout_s=0.2)
    assert run_limited(("cat",), timeout_s=10).output == b""


def test_memory_is_limited() -> None:
    program = "import time; time.sleep(0.3); bytes(3 << 30)"
    done = run_limited((sys.executable, "-c", program), timeout_s=30)
    assert done.status != 0
    assert "MemoryError" in done.stderr_tail
