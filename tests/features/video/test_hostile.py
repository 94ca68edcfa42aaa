"""Films that are broken, lie or mean harm: what becomes of each, in a child process as in a night."""

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from features.base import MediaError
from features.decoding.worker_pool import Decoders
from features.video.decode import Film

SIDE, FRAMES = 64, 30


@pytest.fixture(scope="module")
def decoders() -> Decoders:
    quick = {"sound": None, "detector": None}
    return Decoders("features.video.frames:FrameSequence", quick, timeout_s=60.0, memory_bytes=2 << 30)


def ffmpeg(*arguments: object) -> None:
    subprocess.run((get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)), check=True, timeout=60)


def film(path: Path, *options: object, size: int = SIDE, seconds: float = FRAMES / 25, rate: float = 25) -> Path:
    """A moving test pattern; the container follows the name."""
    source = f"testsrc=size={size}x{size}:rate={rate}:duration={seconds}"
    pixels = () if "-pix_fmt" in options else ("-pix_fmt", "yuv420p")
    ffmpeg("-f", "lavfi", "-i", source, *options, *pixels, path)
    return path


def edited(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def with_bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def header_claims(path: Path, seconds: float) -> Path:
    """An MP4 film whose headers (movie, track and media) give another duration."""
    data = bytearray(path.read_bytes())
    for box, place in ((b"mvhd", 20), (b"mdhd", 20)):
        start = data.index(box)
        scale = struct.unpack_from(">I", data, start + 16)[0]
        struct.pack_into(">I", data, start + place, min(int(seconds * scale), 2**32 - 1))
    struct.pack_into(">I", data, data.index(b"tkhd") + 24, int(seconds * 1000))
    data = data.replace(b"elst", b"free", 1)
    return with_bytes(path, bytes(data))


def without_key_frames(path: Path, name: str) -> Path:
    """All but the first packet of a film whose only key frame that is."""
    whole = film(path / "whole.mkv", "-c:v", "libx264", "-g", "999", "-sc_threshold", "0", "-bf", "0")
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "noise=drop=eq(n\\,0)", path / name)
    return path / name


def two_sizes(path: Path) -> Path:
    parts = [film(path / f"{size}.ts", "-c:v", "mpeg2video", size=size) for size in (SIDE, 2 * SIDE)]
    return with_bytes(path / "two.ts", b"".join(part.read_bytes() for part in parts))


def sound(path: Path, *options: object) -> Path:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", *options, path)
    return path


def sound_with_cover(path: Path) -> Path:
    Image.new("RGB", (64, 64), "red").save(path / "cover.png")
    cover = ("-i", path / "cover.png", "-map", "0", "-map", "1", "-disposition:v:0", "attached_pic")
    return sound(path / "cover.mp3", *cover)


def gif(width: int, height: int) -> bytes:
    """A GIF whose screen has this size; its one picture is a single pixel."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00\x3b"


def y4m(width: int, height: int, frames: int) -> bytes:
    frame = b"FRAME\n" + bytes(min(width * height * 3 // 2, 1 << 22))
    return f"YUV4MPEG2 W{width} H{height} F25:1 C420jpeg\n".encode() + frame * frames


def playlist(path: Path, words: str) -> Path:
    """A file that names a film beside it, in place of `{}`."""
    return with_bytes(path, words.format(film(path.with_name("secret.ts"), "-c:v", "mpeg2video")).encode())


def numbered(path: Path) -> Path:
    for number in range(3):
        Image.new("RGB", (64, 64)).save(path / f"{number}.jpg")
    return path / "%d.jpg"


@dataclass(frozen=True)
class Case:
    """`make` puts a file into a folder: it is refused for one of `reasons`, or what is read of it passes `check`."""

    name: str
    make: Callable[[Path], Path]
    reasons: tuple[str, ...] = ()
    check: Callable[[Film], bool] | None = None


def whole(read: Film) -> bool:
    return (len(read.pairs), round(read.duration_s, 2), read.truncated) == (5, 1.2, False)


def spread(read: Film) -> bool:
    """Frames from all parts of ten hours."""
    return read.truncated and len(read.pairs) == 8 and read.duration_s > 35_000 and np.diff(read.times).max() < 5300


def beginning(read: Film) -> bool:
    return read.truncated and 50 <= read.times[-1] <= read.duration_s <= 70


NO_FORMAT = ("unknown-format", "undecodable")
JPEG = ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
CASES = [
    Case("no bytes", lambda at: with_bytes(at / "a.mp4", b""), ("empty",)),
    Case("no file", lambda at: at / "a.mp4", ("missing",)),
    Case("a folder", lambda at: at, ("undecodable",)),
    Case("a text named mp4", lambda at: with_bytes(at / "a.mp4", b"a story\n" * 999), ("undecodable",)),
    Case("zeros", lambda at: with_bytes(at / "a.mkv", bytes(1 << 16)), NO_FORMAT),
    Case("a picture", lambda at: with_bytes(at / "a.mp4", (numbered(at).with_name("0.jpg")).read_bytes()), NO_FORMAT),
    Case("a sound", lambda at: sound(at / "a.wav"), ("no-video",)),
    Case("a sound with cover art", sound_with_cover, ("no-video",)),
    Case("wrong ending", lambda at: film(at / "a.mp4").rename(at / "a.avi"), check=whole),
    Case("no ending", lambda at: film(at / "a.mkv").rename(at / "a"), check=whole),
    Case("MP4 cut short", lambda at: edited(film(at / "a.mp4"), lambda b: b[: len(b) // 2]), ("undecodable",)),
    Case(
        "Matroska cut short",
        lambda at: edited(film(at / "a.mkv", *JPEG), lambda b: b[: len(b) // 2]),
        check=lambda read: 0.3 < read.duration_s < 0.8,
    ),
    Case(
        "no frame", lambda at: edited(film(at / "a.mkv"), lambda b: b[: b.index(b"\x1f\x43\xb6\x75")]), ("undecodable",)
    ),
    Case("no frame in AVI", lambda at: film(at / "a.avi", "-frames:v", "0"), ("undecodable",)),
    Case("one frame", lambda at: film(at / "a.mp4", seconds=0.04), check=lambda read: read.gaps.tolist() == [0.0]),
    Case("no key frame, Matroska", lambda at: without_key_frames(at, "a.mkv"), ("undecodable",)),
    Case("no key frame, MPEG-TS", lambda at: without_key_frames(at, "a.ts"), ("undecodable",)),
    Case("two sizes", two_sizes, check=lambda read: len(read.pairs) == 10 and 2.2 < read.duration_s < 2.5),
    Case(
        "unknown codec in AVI",
        lambda at: edited(film(at / "a.avi", "-c:v", "mpeg4"), lambda b: b.replace(b"FMP4", b"ZZZZ")),
        ("no-video",),
    ),
    Case(
        "unknown codec in MP4",
        lambda at: edited(film(at / "a.mp4"), lambda b: b.replace(b"avc1", b"zzz1")),
        ("no-video",),
    ),
    Case(
        "unknown codec in Matroska",
        lambda at: edited(film(at / "a.mkv"), lambda b: b.replace(b"V_MPEG4/ISO/AVC", b"V_NOTHING/ISO/XX")),
        ("no-video",),
    ),
    Case(
        "ten hours", lambda at: film(at / "a.mp4", "-c:v", "mpeg4", "-g", "10", seconds=36000, rate=0.1), check=spread
    ),
    Case("two minutes, raw", lambda at: film(at / "a.h264", "-c:v", "libx264", seconds=100), check=beginning),
    Case(
        "two minutes, one key frame",
        lambda at: film(at / "a.mkv", "-c:v", "mpeg4", "-g", "999", "-sc_threshold", "1000000000", seconds=120, rate=5),
        check=beginning,
    ),
    Case("header of ten hours", lambda at: header_claims(film(at / "a.mp4"), 36000), check=whole),
    Case("header of no length", lambda at: header_claims(film(at / "a.mp4"), 0), check=whole),
    Case(
        "one frame in thirty years",
        lambda at: edited(with_bytes(at / "a.y4m", y4m(64, 64, 3)), lambda b: b.replace(b"F25:1", b"F1:1000000000")),
        check=lambda read: read.truncated,
    ),
    Case(
        "a thousand million frames a second",
        lambda at: edited(with_bytes(at / "a.y4m", y4m(64, 64, 3)), lambda b: b.replace(b"F25:1", b"F1000000000:1")),
        check=lambda read: len(read.pairs) == 1 and np.isfinite(read.fps),
    ),
    Case("header of 50,000 x 50,000", lambda at: with_bytes(at / "a.y4m", y4m(50_000, 50_000, 3)), ("undecodable",)),
    Case("16k x 16k", lambda at: with_bytes(at / "a.y4m", y4m(16_384, 16_384, 3)), ("undecodable",)),
    Case("a screen of 50,000", lambda at: with_bytes(at / "a.gif", gif(50_000, 50_000)), ("undecodable",)),
    Case("a screen of nothing", lambda at: with_bytes(at / "a.gif", gif(0, 0)), ("undecodable",)),
    Case("a large screen", lambda at: with_bytes(at / "a.gif", gif(7000, 7000)), check=lambda read: read.width == 7000),
    Case(
        "50,000 wide and 16 high",
        lambda at: with_bytes(at / "a.y4m", y4m(50_000, 16, 3)),
        check=lambda read: read.width == 50_000,
    ),
    Case(
        "a picture of another size than its film",
        lambda at: edited(
            film(at / "a.avi", *JPEG), lambda b: b.replace(b"\x11\x08\0\x40\0\x40", b"\x11\x08\xff\xff\xff\xff")
        ),
        ("undecodable",),
    ),
    Case(
        "a playlist", lambda at: playlist(at / "a.m3u8", "#EXTM3U\n#EXTINF:9,\nfile://{}\n#EXT-X-ENDLIST\n"), NO_FORMAT
    ),
    Case("a playlist named mp4", lambda at: playlist(at / "a.mp4", "#EXTM3U\n#EXTINF:9,\nfile:{}\n"), NO_FORMAT),
    Case("a list of films", lambda at: playlist(at / "a.mp4", "ffconcat version 1.0\nfile '{}'\n"), NO_FORMAT),
    Case("a session", lambda at: playlist(at / "a.sdp", "v=0\nm=video 5000 RTP/AVP 96\ni={}\n"), NO_FORMAT),
    Case("a sequence of pictures", numbered, ("missing",)),
    *(
        Case(f"a name like {name!r}", lambda at, name=name: film(at / "a.mp4").rename(at / name), check=whole)
        for name in (
            "-y.mp4",
            "a:b.mp4",
            "%d.mp4",
            "two words.mp4",
            "'\".mp4",
            "new\nline.mp4",
            "\U0001f438.mp4",
            "?#.mp4",
        )
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile(case: Case, tmp_path: Path, decoders: Decoders) -> None:
    path = case.make(tmp_path)
    try:
        read = decoders.decode(path)
    except MediaError as error:
        assert error.reason in case.reasons, error
        assert str(tmp_path) not in str(error)
        return
    assert case.check is not None, f"read {read}"
    assert case.check(read), read
