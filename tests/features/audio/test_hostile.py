"""Sounds that are broken, that lie, or that want something else read: what happens with each."""

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from features.audio.decode import Clip, decode_audio
from features.audio.mel import MelMfcc
from features.base import MediaError
from tests.features.conftest import panned, sine

MakeFile = Callable[..., Path]
TONE = (sine(440) * 32767).astype("<i2").tobytes()


def wav(
    data: bytes = TONE, *, rate: int = 22050, channels: int = 1, bits: int = 16, codec: int = 1, claims: int = -1
) -> bytes:
    """A WAV file with these values in its header; `claims` is the length of the data that it declares."""
    size = len(data) if claims < 0 else claims
    frame = channels * bits // 8
    header = struct.pack("<HHIIHH", codec, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    head = b"WAVEfmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(head) + size & 0xFFFFFFFF) + head + data


def floats(*samples: float) -> bytes:
    return wav(np.array(samples, "<f4").tobytes(), bits=32, codec=3)


def as_format(name: str, *options: str, seconds: float = 2.0) -> bytes:
    """A 440 Hz tone in the container that ffmpeg calls `name`."""
    command = (get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", f"sine=440:d={seconds}:r=22050", *options)
    return subprocess.run((*command, "-f", name, "pipe:1"), check=True, capture_output=True, timeout=30).stdout


@dataclass(frozen=True)
class Case:
    """A file's name and content, and what is to happen: refused for `reason`, or decoded to `seconds` of sound."""

    name: str
    content: Callable[[], bytes]
    reason: str = ""
    seconds: float = 0.0


BROKEN, FOREIGN, SILENT = "undecodable", "unknown-format", "no-audio"
SECRET = "secret.wav"
CASES = {
    "no bytes": Case("a.mp3", bytes, "empty"),
    "zeros": Case("a.mp3", lambda: bytes(5000), BROKEN),
    "text that is called a sound": Case("a.mp3", lambda: b"this is a text about frogs. " * 50, BROKEN),
    "one byte": Case("a.wav", lambda: b"R", BROKEN),
    "a picture": Case("a.ogg", lambda: b"\x89PNG\r\n\x1a\n" + bytes(200), FOREIGN),
    "wrong ending": Case("a.mp3", lambda: as_format("flac"), seconds=2.0),
    "no ending": Case("sound", lambda: as_format("ogg"), seconds=2.0),
    "WAV cut in the header": Case("a.wav", lambda: wav()[:30], BROKEN),
    "WAV cut in the middle": Case("a.wav", lambda: wav()[: len(TONE) // 2 + 44], seconds=1.0),
    "FLAC cut in the header": Case("a.flac", lambda: as_format("flac")[:60], BROKEN),
    "Ogg cut in the headers": Case("a.ogg", lambda: as_format("ogg")[:1000], BROKEN),
    "MP3 with a hole": Case("a.mp3", lambda: holed(as_format("mp3")), seconds=1.9),
    "no samples": Case("a.wav", lambda: wav(b""), BROKEN),
    "one sample": Case("a.wav", lambda: wav(TONE[:2]), seconds=1 / 22050),
    "unknown codec": Case("a.wav", lambda: wav(codec=0x7777), SILENT),
    "0 channels": Case("a.wav", lambda: wav(channels=0), BROKEN),
    "255 channels": Case("a.wav", lambda: wav(channels=255), BROKEN),
    "65,535 channels": Case("a.wav", lambda: wav(channels=65535), BROKEN),
    "0 Hz": Case("a.wav", lambda: wav(rate=0), BROKEN),
    "1 Hz": Case("a.wav", lambda: wav(TONE[:20], rate=1), BROKEN),
    "4 GHz": Case("a.wav", lambda: wav(rate=4_000_000_000), BROKEN),
    "2 GHz": Case("a.wav", lambda: wav(rate=2_000_000_000), BROKEN),
    "0 bits": Case("a.wav", lambda: wav(bits=0), SILENT),
    "64,000 bits": Case("a.wav", lambda: wav(bits=64000), SILENT),
    "WAV that claims ten hours": Case("a.wav", lambda: wav(claims=1_587_600_000), seconds=2.0),
    "WAV that claims nothing": Case("a.wav", lambda: wav(claims=0), seconds=2.0),
    "FLAC that claims ten hours": Case("a.flac", lambda: claiming(as_format("flac"), 793_800_000), seconds=2.0),
    "FLAC that claims a second": Case("a.flac", lambda: claiming(as_format("flac"), 22050), seconds=2.0),
    "NaN": Case("a.wav", lambda: floats(*[0.1, np.nan] * 5000), seconds=0.45),
    "infinite": Case("a.wav", lambda: floats(*[np.inf, -np.inf, 0.0] * 3000), seconds=0.41),
    "beyond full scale": Case("a.wav", lambda: floats(*[1e30, -1e30] * 5000), seconds=0.45),
    "HLS playlist": Case("a.m3u8", lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n", FOREIGN),
    "HLS playlist called a sound": Case(
        "a.mp3", lambda: b"#EXTM3U\n#EXTINF:9,\nfile:secret.wav\n#EXT-X-ENDLIST", BROKEN
    ),
    "HLS playlist of an address": Case("a.m3u8", lambda: b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:1/a.ts\n", BROKEN),
    "concatenation": Case("a.wav", lambda: b"ffconcat version 1.0\nfile 'secret.wav'\n", FOREIGN),
    "PLS playlist": Case("a.pls", lambda: b"[playlist]\nFile1=secret.wav\nNumberOfEntries=1\n", FOREIGN),
    "SDP": Case(
        "a.sdp", lambda: b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n", FOREIGN
    ),
    "RTSP redirection": Case("a.mov", lambda: b"RTSPtextrtsp://127.0.0.1:1/a\n", BROKEN),
    "DASH manifest": Case("a.mpd", lambda: b'<?xml version="1.0"?><MPD><BaseURL>secret.wav</BaseURL></MPD>', BROKEN),
    "filter graph": Case("a.wav", lambda: b"amovie=secret.wav", BROKEN),
    "QuickTime reference": Case("a.mov", lambda: reference(b"secret.wav"), SILENT),
    "spaces, quotes, a new line": Case("two ' \" words\nand\tmore.wav", wav, seconds=2.0),
    "emoji": Case("\U0001f438.wav", wav, seconds=2.0),
    "bytes that are no UTF-8": Case("\udcff\udcfe.wav", wav, BROKEN),
    "an option": Case("-i.wav", wav, seconds=2.0),
    "a pattern": Case("%d.wav", wav, seconds=2.0),
    "a protocol": Case("http:x.wav", wav, seconds=2.0),
    "a protocol that joins": Case("concat:a|b.wav", wav, seconds=2.0),
    "a protocol with options": Case("subfile,,start,0,end,0,,:a.wav", wav, seconds=2.0),
    "a device": Case("pipe:0", wav, seconds=2.0),
}


def holed(data: bytes) -> bytes:
    return data[:2000] + bytes(500) + data[2500:]


def claiming(flac: bytes, samples: int) -> bytes:
    """A FLAC file whose header (STREAMINFO, bits 108 to 144) gives another number of samples."""
    at = 4 + 4 + 13
    return (
        flac[:at] + bytes([flac[at] & 0xF0 | samples >> 32]) + struct.pack(">I", samples & 0xFFFFFFFF) + flac[at + 5 :]
    )


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def reference(path: bytes) -> bytes:
    """A QuickTime film that is only a reference to another file."""
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(
        b"moov",
        box(b"rmra", box(b"rmda", box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(path) + 1), path, b"\0"))),
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_hostile_sound(case: Case, tmp_path: Path) -> None:
    (tmp_path / SECRET).write_bytes(wav())
    path = tmp_path / case.name
    path.write_bytes(case.content())
    if case.reason:
        error = refused(path)
        assert error.reason == case.reason
        assert str(tmp_path) not in str(error)
    else:
        assert_sound(decode_audio(path), case.seconds)


def refused(path: Path) -> MediaError:
    with pytest.raises(MediaError) as error:
        decode_audio(path)
    return error.value


def assert_sound(clip: Clip, seconds: float) -> None:
    assert clip.duration_s == pytest.approx(seconds, rel=0.05)
    assert np.isfinite(clip.samples).all()
    assert np.abs(clip.samples).max() <= 1.0
    assert MelMfcc().encode([clip]).num_rows == 1


def test_refusals_read_the_same_each_time(tmp_path: Path) -> None:
    """FFmpeg's threads end in any order; what is stored of their words must not differ from run to run."""
    (tmp_path / "a.wav").write_bytes(wav(rate=2_000_000_000))
    assert len({str(refused(tmp_path / "a.wav")) for _ in range(5)}) == 1


def test_ten_silent_hours(tmp_path: Path) -> None:
    """A file with a hole: 288 MB that lie on no disk, with two seconds of sound in the middle."""
    rate, hours = 4000, 10
    path = tmp_path / "long.wav"
    path.write_bytes(wav(b"", rate=rate, claims=2 * rate * 3600 * hours))
    with path.open("r+b") as file:
        file.truncate(44 + 2 * rate * 3600 * hours)
        file.seek(44 + 2 * rate * (3600 * hours // 2 - 1))
        file.write(TONE[: 2 * 2 * rate])
    clip = decode_audio(path, windows=3, window_s=10.0)
    assert (clip.duration_s, clip.truncated, clip.header_duration_s) == (30.0, True, 36000.0)
    quiet, loud, quiet_again = np.abs(clip.samples).reshape(3, -1).max(axis=1)
    assert (quiet, loud > 0.3, quiet_again) == (0.0, True, 0.0)


@pytest.mark.parametrize("kind", ["mp3", "adts"])
def test_ten_hours_of_code(kind: str, tmp_path: Path) -> None:
    """Formats without an index, whose length and places in time can only be guessed from the bit rate."""
    options = ("-b:a", "8k", "-ar", "8000", *(("-write_xing", "0", "-id3v2_version", "0") if kind == "mp3" else ()))
    (tmp_path / "long").write_bytes(as_format(kind, *options, seconds=10.0) * 3600)
    clip = decode_audio(tmp_path / "long")
    assert (clip.duration_s, clip.truncated) == (60.0, True)
    assert clip.header_duration_s == pytest.approx(36000.0, rel=0.05)
    for window in np.split(clip.samples, 6):
        assert np.abs(window).max() > 0.05


def test_film_without_sound(make_film: MakeFile) -> None:
    assert refused(make_film(panned(step=2))).reason == "no-audio"
