"""A thousand broken sounds: each is decoded or refused, and leaves nothing behind."""

import resource
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from features.audio.decode import Clip, decode_audio
from features.base import MediaError

COUNT = 1000
WARM = 200
GROWTH_BYTES = 64 << 20
FORMATS = ("wav", "mp3", "ogg", "flac", "m4a", "aiff")
EXTREMES = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\x00\x00\x00")
HEADER = 200


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Half a second of a tone in each format."""
    folder = tmp_path_factory.mktemp("sounds")
    tone = ("-v", "error", "-f", "lavfi", "-i", "sine=440:d=0.5:r=16000")
    for kind in FORMATS:
        subprocess.run((get_ffmpeg_exe(), *tone, str(folder / f"a.{kind}")), check=True, timeout=30)
    return [(folder / f"a.{kind}").read_bytes() for kind in FORMATS]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` with one to four injuries, half of them near its beginning."""
    for _ in range(rng.integers(1, 5)):
        reach = min(len(data), HEADER) if rng.random() < 0.5 else len(data)
        start = int(rng.integers(0, max(reach, 1)))
        end = start + int(rng.integers(1, 65))
        data = INJURIES[rng.integers(len(INJURIES))](data, start, end, rng)
    return data


INJURIES: tuple[Callable[[bytes, int, int, np.random.Generator], bytes], ...] = (
    lambda data, start, end, rng: data[:start] + rng.bytes(1) + data[start + 1 :],
    lambda data, start, end, rng: data[:start] + rng.bytes(end - start) + data[end:],
    lambda data, start, end, rng: data[:start] + bytes(end - start) + data[end:],
    lambda data, start, end, rng: data[:start] + EXTREMES[rng.integers(len(EXTREMES))] + data[start + 4 :],
    lambda data, start, end, rng: data[:start] + data[end:],
    lambda data, start, end, rng: data[:end] + data[start:],
    lambda data, start, end, rng: data[:start],
)


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def outcome(path: Path) -> Clip | MediaError:
    try:
        return decode_audio(path, max_seconds=2.0, timeout_s=30.0)
    except MediaError as refusal:
        return refusal
    finally:
        path.unlink()


@pytest.mark.slow
def test_broken_sounds_are_decoded_or_refused(sounds: list[bytes], tmp_path: Path) -> None:
    def attempt(number: int) -> Clip | MediaError:
        path = tmp_path / str(number)
        path.write_bytes(mutated(sounds[number % len(sounds)], np.random.default_rng(number)))
        return outcome(path)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(attempt, range(WARM)))
        before = resident_bytes()
        outcomes += pool.map(attempt, range(WARM, COUNT))
    clips = [found for found in outcomes if isinstance(found, Clip)]
    reasons = {found.reason for found in outcomes if isinstance(found, MediaError)}
    assert COUNT // 10 < len(clips) < COUNT
    assert reasons <= {"undecodable", "unknown-format", "no-audio", "empty"}
    assert all(np.isfinite(clip.samples).all() and 0 < clip.duration_s <= 2.0 for clip in clips)
    assert resident_bytes() - before - sum(clip.samples.nbytes for clip in clips) < GROWTH_BYTES
