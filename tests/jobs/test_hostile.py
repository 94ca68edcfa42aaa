"""What a whole night does with media that nobody vouches for: each case the only medium of one item, all in one night.

What the decoders do with many more files stands in `tests/features/<modality>/test_hostile.py`.
"""

import json
import os
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from jobs.verify import findings
from lake import views
from lake.lake import Lake
from lake.rows import Engine
from tests.features.conftest import texture
from tests.features.image.test_hostile import flat_png
from tests.features.video.test_hostile import without_key_frames
from tests.jobs.nights import a_night, prepare

pytestmark = pytest.mark.night
NIGHT = "2026-11-01"
KEPT = ("kept", "")
SVG = '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg">&x;</svg>'


def picture(path: Path) -> None:
    seed = zlib.crc32(path.name.encode())
    Image.fromarray(texture(48, 48, seed=seed)).save(path, "PNG")


def cut(make: Callable[[Path], None], share: float) -> Callable[[Path], None]:
    def made(path: Path) -> None:
        make(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return made


def jpeg(path: Path) -> None:
    Image.fromarray(texture(200, 200)).save(path, "JPEG")


def header_of_50000_x_50000(path: Path) -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def wav(samples: np.ndarray, *, claims: int | None = None) -> Callable[[Path], None]:
    """A float WAV at 22,050 Hz; its header may claim another number of bytes."""

    def made(path: Path) -> None:
        data = samples.astype("<f4").tobytes()
        size = len(data) if claims is None else claims
        form = struct.pack("<HHIIHH", 3, 1, 22050, 4 * 22050, 4, 32)
        riff = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
        path.write_bytes(b"RIFF" + struct.pack("<I", 36 + size) + riff + data)

    return made


def words(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text) and None


def film(path: Path, *options: str, source: str = "testsrc=size=64x64:rate=25:duration=1") -> None:
    command = (get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", source, *options, "-pix_fmt", "yuv420p")
    subprocess.run((*command, str(path)), check=True, timeout=60)


def sound_only(path: Path) -> None:
    film(path, "-vn", source="sine=frequency=300:duration=1")


def nothing(path: Path) -> None:
    """The path is all there is to it."""


def renamed(ending: str, *options: str) -> Callable[[Path], None]:
    """A film in the container of `ending`, whatever its own name says."""

    def made(path: Path) -> None:
        film(path.with_suffix(ending), *options)
        path.with_suffix(ending).rename(path)

    return made


def unknown_codec(path: Path) -> None:
    renamed(".avi", "-c:v", "mpeg4")(path)
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZZ"))


def no_key_frame(path: Path) -> None:
    without_key_frames(path.parent, "no key.mkv").rename(path)


def ten_hours(path: Path) -> None:
    """Ten seconds of MP3, 3,600 times."""
    options = ("-t", "10", "-b:a", "8k", "-ar", "8000", "-write_xing", "0", "-id3v2_version", "0")
    command = (get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", "sine=frequency=300", *options, str(path))
    subprocess.run(command, check=True, timeout=60)
    path.write_bytes(path.read_bytes() * 3600)


UNEVEN = ("-vf", "setpts='if(lt(N,9),N,4*N)/25/TB'", "-fps_mode", "vfr")
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nten hours.mp3\n"
BROKEN = np.array([np.nan, np.inf, -np.inf, 0.5] * 6000)
TONE = np.sin(np.arange(22050) / 10)
CASES: dict[str, tuple[Callable[[Path], object], tuple[str, str]]] = {
    "media/with space.png": (picture, KEPT),
    "media/quote'\".png": (picture, KEPT),
    "media/line\nbreak.png": (picture, KEPT),
    "media/emoji 🎈.png": (picture, KEPT),
    "media/-dash %d.png": (picture, KEPT),
    "media/picture named as sound.wav": (picture, ("extract_audio", "unknown-format")),
    "media/png named as jpeg.jpg": (picture, KEPT),
    "media/entities.svg": (words(SVG), ("extract_image", "undecodable")),
    "media/truncated.jpg": (cut(jpeg, 0.6), ("extract_image", "undecodable")),
    "media/text.jpg": (words("not a picture"), ("extract_image", "unknown-format")),
    "media/bomb.png": (lambda path: path.write_bytes(flat_png(9000, 8000)), ("extract_image", "too-large")),
    "media/50000.png": (header_of_50000_x_50000, ("extract_image", "too-large")),
    "media/empty.png": (words(""), ("clean_media", "media_size")),
    "media/absent.png": (nothing, ("clean_media", "media_missing")),
    "media/folder.png": (Path.mkdir, ("clean_media", "media_missing")),
    "media/link.png": (lambda path: path.symlink_to("/etc/passwd"), ("clean_media", "media_outside_raw")),
    "../outside.png": (nothing, ("clean_media", "media_outside_raw")),
    "media/" + 300 * "long" + ".png": (nothing, ("clean_media", "media_missing")),
    "/etc/passwd.png": (nothing, ("clean_media", "media_outside_raw")),
    "http://127.0.0.1/a.png": (nothing, ("clean_media", "media_outside_raw")),
    "media/not a number.wav": (wav(BROKEN), KEPT),
    "media/claims ten hours.wav": (wav(TONE, claims=36_000 * 22050 * 4 % 2**32), KEPT),
    "media/ten hours.mp3": (ten_hours, KEPT),
    "media/no samples.wav": (wav(TONE[:0]), ("extract_audio", "undecodable")),
    "media/text.mp3": (words("not a sound"), ("extract_audio", "undecodable")),
    "media/playlist.mp3": (words("#EXTM3U\n#EXTINF:1,\nmedia/a.wav\n"), ("extract_audio", "undecodable")),
    "media/playlist.m3u8": (words(HLS), ("extract_audio", "unknown-format")),
    "http://[::1/a.wav": (nothing, ("clean_media", "media_outside_raw")),
    "media/script.mp3": (words("ffconcat version 1.0\nfile a.wav\n"), ("extract_audio", "unknown-format")),
    "concat:media/a.wav|media/b.wav": (nothing, ("clean_media", "media_missing")),
    "media/film.mp4": (film, KEPT),
    "media/cut short.mp4": (cut(film, 0.5), ("extract_video", "undecodable")),
    "media/variable frame rate.mp4": (renamed(".mkv", *UNEVEN), KEPT),
    "media/no frame.mp4": (renamed(".avi", "-frames:v", "0"), ("extract_video", "undecodable")),
    "media/no key frame.mp4": (no_key_frame, ("extract_video", "undecodable")),
    "media/unknown codec.mp4": (unknown_codec, ("extract_video", "no-video")),
    "media/playlist.mp4": (words("#EXTM3U\n#EXTINF:1,\nfilm.mp4\n"), ("extract_video", "undecodable")),
    "media/sound only.mp4": (sound_only, ("extract_video", "no-video")),
    "media/text.mp4": (words("not a film"), ("extract_video", "undecodable")),
}
KINDS = {".png": "image", ".jpg": "image", ".svg": "image", ".wav": "audio", ".mp3": "audio", ".mp4": "video"}


@pytest.fixture(scope="module")
def lake(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The lake after the night."""
    raw = tmp_path_factory.mktemp("hostile") / "raw"
    (raw / "media").mkdir(parents=True)
    (raw / "items" / f"ds={NIGHT}").mkdir(parents=True)
    rows = []
    for number, (path, (make, _)) in enumerate(CASES.items()):
        if path.startswith("media/"):
            make(raw / path)
        kind = KINDS.get(os.path.splitext(path)[1], "audio")
        rows.append(json.dumps({"item_id": number, f"{kind}_uris": path}))
    (raw / "items" / f"ds={NIGHT}" / "items.jsonl").write_text("\n".join(rows))
    config = raw.parent / "tolerant.yaml"
    config.write_text("extract: {max_refused_share: 1.0}\n")
    made = Lake(str(raw.parent / "lake"))
    prepare(engine, a_night(NIGHT, raw, made, config=str(config)))
    return made


@pytest.fixture(scope="module")
def found(lake: Lake) -> dict[str, tuple[str, str]]:
    """What the night did with each case: step and reason, or kept."""
    ask = views.connect(lake).sql
    refusals = ask("SELECT source, stage, reason FROM quarantine").fetchall()
    stores = " UNION ALL ".join(f"SELECT content_key FROM features_{kind}" for kind in ("image", "audio", "video"))
    extracted = ask(
        f"SELECT item_id::INT FROM items WHERE (image_keys || audio_keys || video_keys)[1] IN ({stores})"
    ).fetchall()
    ends = [(path, (stage, reason)) for path, stage, reason in refusals]
    ends += [(list(CASES)[number], KEPT) for (number,) in extracted]
    assert len(ends) == len(dict(ends)), "a case ended in two ways"
    return dict(ends)


@pytest.mark.parametrize("path", CASES, ids=lambda path: repr(path[:40]))
def test_the_table_of_cases(path: str, found: dict[str, tuple[str, str]]) -> None:
    _, expected = CASES[path]
    assert found.get(path) == expected


def test_nothing_else_is_found(found: dict[str, tuple[str, str]]) -> None:
    assert found.keys() <= CASES.keys()


def test_every_case_is_accounted_for(lake: Lake) -> None:
    _, broken = findings(lake)
    assert not broken
