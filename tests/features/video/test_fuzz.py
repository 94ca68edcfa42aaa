"""A thousand films with random damage: each is read or refused."""

import re
import resource
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from features.base import MediaError
from features.decoding.worker_pool import Decoders
from features.video.decode import Film
from features.video.motion.columns import motion_columns
from features.video.motion.frame_motion import motion_statistics
from tests.features.video.test_hostile import film

FILMS, THREADS = 1000, 2
KINDS = {
    "h264.mp4": ("-c:v", "libx264", "-preset", "veryfast"),
    "vp9.mkv": ("-c:v", "libvpx-vp9", "-deadline", "realtime"),
    "vp8.webm": ("-c:v", "libvpx", "-deadline", "realtime"),
    "mpeg4.avi": ("-c:v", "mpeg4"),
    "mpeg2.ts": ("-c:v", "mpeg2video"),
    "mjpeg.mkv": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "picture.gif": ("-pix_fmt", "rgb8"),
    "sound.mp4": ("-f", "lavfi", "-i", "sine=duration=0.5", "-c:v", "mpeg4"),
}
REASONS = {"empty", "no-video", "unknown-format", "undecodable", "out-of-memory"}
A_BUG_OF_OURS = re.compile(r"^\w+(Error|Exception): ")
"""How `features.decoding.worker_pool` reports an exception that isn't a MediaError."""


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """One or two random changes: bytes changed, a stretch overwritten, lost or repeated, the end lost."""
    for _ in range(random.integers(1, 3)):
        if not data:
            break
        start, length = int(random.integers(len(data))), int(random.integers(1, 1 + len(data) // 16))
        head, part, tail = data[:start], data[start : start + length], data[start + length :]
        match random.integers(5):
            case 0:
                changed = bytearray(data)
                for place in random.integers(len(data), size=random.integers(1, 32)):
                    changed[place] = random.integers(256)
                data = bytes(changed)
            case 1:
                data = head + random.bytes(len(part)) + tail
            case 2:
                data = head + tail
            case 3:
                data = head + part + part + tail
            case 4:
                data = data[: max(start, len(data) // 4)]
    return data


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("seeds")
    return {name: film(folder / name, *options, seconds=0.5).read_bytes() for name, options in KINDS.items()}


@pytest.mark.slow
def test_every_damaged_film_is_read_or_refused(seeds: dict[str, bytes], tmp_path: Path) -> None:
    quick = {"sound": None, "detector": None}
    decoders = Decoders("features.video.frames:FrameSequence", quick, timeout_s=30.0, memory_bytes=2 << 30)

    def outcome(number: int) -> str:
        random = np.random.default_rng(number)
        name = list(seeds)[number % len(seeds)]
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(damaged(seeds[name], random))
        try:
            check(decoders.decode(path))
        except MediaError as error:
            assert error.reason in REASONS, f"{path.name}: {error}"
            assert not A_BUG_OF_OURS.match(error.detail), f"{path.name}: {error}"
            return error.reason
        finally:
            path.unlink()
        return "read"

    with ThreadPoolExecutor(THREADS) as threads:
        outcomes = Counter(threads.map(outcome, range(FILMS // 4)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcomes += Counter(threads.map(outcome, range(FILMS // 4, FILMS)))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert outcomes["read"] > FILMS / 4, outcomes
    assert outcomes["undecodable"] > FILMS / 100, outcomes
    assert grown_kib < 64 << 10, f"this process has grown by {grown_kib} KiB"


def check(read: Film) -> None:
    assert 1 <= len(read.pairs) <= 16
    assert np.isfinite(motion_statistics(read.pairs, read.gaps)).all()
    row = motion_columns(read)
    assert row["motion_histogram"] is None or np.isfinite(row["motion_histogram"]).all()
    assert np.isfinite([read.duration_s, read.fps, read.aspect]).all()
    assert (np.diff(read.times) > 0).all()
