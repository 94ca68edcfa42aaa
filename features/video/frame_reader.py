"""Reading the frames of a film in bounded time, in spite of wrong headers and broken time stamps."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from av.error import FFmpegError

from features.base import MediaError
from features.decoding.ffmpeg import MAX_PIXELS

_EXPORT_MVS = 1 << 28  # AV_CODEC_FLAG2_EXPORT_MVS
_FPS = (0.1, 25.0, 1000.0)
_MOST_FPS = 120
_MOST_PIXELS = 4e9
_MOST_ERRORS = 100
_RESET_S = 0.5


class FrameReader:
    """Iterates over the frames of a film in order of time, as pairs (seconds since the first frame, `av.VideoFrame`).

    Of a film longer than `max_seconds`, these are `pieces` of equal length, spread evenly from its beginning to its
    end, that add up to `max_seconds`; each begins at the key frame before its place. A frame without a time stamp is
    placed after the last one by the usual time between frames, and so is a frame whose stamp goes back by more than
    half a second; other frames that aren't later than the last one are left out. At most 120 frames a second and 4e9
    pixels are decoded in all, shared equally by the pieces.

    Args:
        container, stream: a file opened by PyAV and its video stream, not decoded yet.
        max_seconds: most seconds of the film that are read.
        pieces: number of parts of a longer film.
        timeout_s: wall-clock limit, in seconds.

    Attributes:
        jumped: during iteration, the present frame doesn't come directly after the one before it.
        frames, seconds: after iteration, the number of frames and the seconds that were read.
        end: the end of the last frame, in seconds.
        truncated: a part of the film wasn't read.

    Raises:
        MediaError: "timeout", during iteration.
    """

    def __init__(self, container: Any, stream: Any, *, max_seconds: float, pieces: int, timeout_s: float) -> None:
        codec = stream.codec_context
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        codec.thread_count = 1
        codec.flags2 |= _EXPORT_MVS
        self._container, self._stream = container, stream
        self._max_seconds = max_seconds
        self._timeout_s, self._deadline = timeout_s, time.monotonic() + timeout_s
        least, usual, most = _FPS
        self._frame_s = 1 / min(max(float(stream.average_rate or usual), least), most)
        self._most = int(max(1, min(_MOST_FPS * max_seconds, _MOST_PIXELS // max(1, codec.width * codec.height))))
        self._length = _header_seconds(container, stream)
        self._pieces = pieces if self._length > max_seconds else 1
        self._origin = self._last = 0.0
        self.frames, self.seconds, self.end = 0, 0.0, 0.0
        self.truncated = self.jumped = False

    @property
    def header_wrong(self) -> bool:
        """After iteration: most of the length that the header claims doesn't exist."""
        return self._pieces > 1 and self.end < self._length / 2

    def __iter__(self) -> Iterator[tuple[float, Any]]:
        piece_s, most = self._max_seconds / self._pieces, -(-self._most // self._pieces)
        for start in np.linspace(0.0, self._length - piece_s, self._pieces):
            if not self.frames or self._seek(start):
                yield from self._piece(piece_s, most)
        self.truncated |= self._pieces > 1

    def _seek(self, start: float) -> bool:
        """Seeks the key frame before the second `start`; returns False if that fails."""
        self.jumped = True
        try:
            stamp = int((start + self._origin) / self._stream.time_base)
            self._container.seek(stamp, stream=self._stream)
        except (FFmpegError, OverflowError, TypeError, ZeroDivisionError):
            return False
        return True

    def _piece(self, seconds: float, most: int) -> Iterator[tuple[float, Any]]:
        """`seconds` of frames that are later than all before them; fewer when `most` frames have been decoded."""
        begun, read_before = None, self.seconds
        for frame in self._decoded(most):
            now = self._time(frame)
            if now is None:
                continue
            begun = now if begun is None else begun
            if now - begun >= seconds:
                self.truncated = True
                return
            lasts = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else self._frame_s
            self.end = now + min(max(lasts, 0.0), self._max_seconds)
            self.seconds = read_before + self.end - begun
            self.frames += 1
            yield now, frame
            self._last, self.jumped = now, False

    def _decoded(self, most: int) -> Iterator[Any]:
        """At most `most` frames from the present position on; packets that can't be decoded are left out.

        A packet that can't be read is taken for the end of the film.

        Raises:
            MediaError: "timeout".
        """
        frames = errors = 0
        with contextlib.suppress(FFmpegError):
            for packet in self._container.demux(self._stream):
                try:
                    decoded = packet.decode()
                except FFmpegError:
                    decoded, errors = [], errors + 1
                if time.monotonic() > self._deadline:
                    raise MediaError("timeout", f"the decoder was still running after {self._timeout_s:g} s")
                yield from decoded
                frames += len(decoded)
                if frames >= most or errors > _MOST_ERRORS:
                    self.truncated = True
                    return

    def _time(self, frame: Any) -> float | None:
        """Seconds since the first frame; None for a frame that isn't later than all those before it."""
        stamp = frame.time
        if not self.frames:
            self._origin = stamp or 0.0
            return 0.0
        expected = self._last + self._frame_s
        if stamp is None:
            return None if self.jumped else expected
        # The clock was reset, as between joined MPEG-TS files: the new origin makes the frame follow the last one.
        if stamp - self._origin < self._last - _RESET_S and not self.jumped:
            self._origin = stamp - expected
        now = stamp - self._origin
        return now if now > self._last else None


def _header_seconds(container: Any, stream: Any) -> float:
    """The film's length in seconds by its header; 0 where it has none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6
