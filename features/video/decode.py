"""Any video file → a few frames of each scene, and how things move between frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from features.base import MediaError
from features.decoding.ffmpeg import open_media, video_stream
from features.video.frame_reader import Tape
from features.video.motion.codec_vectors import MotionVectors
from features.video.shot_detection import CutDetector, pick

SIDE = 224
GAP_S = 0.08
MOST_LOOKED_AT = 1000
_SMALL = 32
_FINE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_TOLERANCE_S = 1e-3


@dataclass(frozen=True)
class Film:
    """What was read of a film.

    `pairs` is uint8 [n, 2, side, side, 3], RGB, upright, squashed to a square: n frames that stand for the film, each
    with the first frame of the same scene that is shown `GAP_S` seconds later or more. `times` [n] are the frames'
    seconds since the first, `gaps` [n] the seconds between the two of a pair, 0 where a frame has no partner and is
    its own. `cuts` are the seconds at which a scene ends and another begins, be it where pieces of a long film meet.

    `fields` is float32 [m, 8, 8, 2]: how far a grid of cells moved, right and down in pixels a frame, NaN where
    unknown, as the film's own code tells (m is 0 for many codecs); `frame_s` [m] the seconds between frames there.

    `duration_s` is when the last frame that was read ended; `truncated` says that something was left unread. `width`
    and `height` are pixels as the file stores them, `aspect` is width over height as the film is shown, `fps` the mean
    frame rate of what was read. `sound` is the sound track, where someone has decoded it.
    """

    pairs: np.ndarray
    times: np.ndarray
    gaps: np.ndarray
    cuts: np.ndarray
    fields: np.ndarray
    frame_s: np.ndarray
    duration_s: float
    width: int
    height: int
    aspect: float
    fps: float
    has_audio: bool
    truncated: bool
    sound: Any = None


def decode_video(
    path: Path,
    *,
    rate: float = 4.0,
    moments: int = 16,
    max_seconds: float = 60.0,
    pieces: int = 8,
    side: int = SIDE,
    timeout_s: float = 120.0,
) -> Film:
    """The film in the file at `path`. Safe in threads.

    Memory and work are bounded whatever the file (`Tape` says how). Frame times are read from the frames, since headers
    lie. FFmpeg decodes in this process: whoever doesn't trust a file calls from a process that may die of it, as
    `features.decoding.worker_pool` does.

    Args:
        rate: frames a second that are looked at.
        moments: at most so many of them are kept, every scene's among them.
        max_seconds: so much of the film is read: of a longer one, so many `pieces` spread evenly over it.
        side: height and width of the frames.
        timeout_s: wall-clock limit.

    Raises:
        MediaError: "no-video" for a file without moving pictures, "missing", "empty", "unknown-format", "undecodable"
            with FFmpeg's words, or "timeout".
    """
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError("no-video", "the file has no video track that can be decoded")
        tape = Tape(container, stream, max_seconds=max_seconds, pieces=pieces, timeout_s=timeout_s)
        film = _film(tape, View(rate=rate, moments=moments, side=side), container, stream)
    if not tape.lied:
        return film
    return decode_video(
        path, rate=rate, moments=moments, max_seconds=max_seconds, pieces=1, side=side, timeout_s=timeout_s
    )


def _film(tape: Tape, view: "View", container: Any, stream: Any) -> Film:
    """The film on `tape`, seen through `view`.

    Raises:
        MediaError: "undecodable" or "timeout".
    """
    try:
        for time, frame in tape:
            view.see(time, frame, follows=not tape.jumped)
    except (OSError, ValueError, ArithmeticError) as error:
        raise MediaError("undecodable", getattr(error, "strerror", None) or str(error)) from error
    width, height = max(1, stream.codec_context.width), max(1, stream.codec_context.height)
    aspect = width / height * float(stream.sample_aspect_ratio or 1)
    return Film(
        **view.result(),
        duration_s=tape.end,
        width=width,
        height=height,
        aspect=1 / aspect if view.turns % 2 else aspect,
        fps=tape.frames / max(tape.seconds, _TOLERANCE_S),
        has_audio=len(container.streams.audio) > 0,
        truncated=tape.more,
    )


@dataclass
class _Moment:
    """A frame that may stand for the film, and its partner; without one, it is its own and `gap_s` is 0."""

    time: float
    pixels: np.ndarray
    partner: np.ndarray
    gap_s: float = 0.0


class View:
    """What is kept of a film that passes by frame by frame.

    Moments are the first frame of every 1 / `rate` seconds and of every scene; in the end at most `moments` of them are
    chosen. `turns` says how many quarters, counterclockwise, make the film upright.
    """

    def __init__(self, *, rate: float, moments: int, side: int) -> None:
        self._rate, self._most, self._side = rate, moments, side
        self._cuts, self._vectors = CutDetector(), MotionVectors()
        self._scaler, self._miniature = VideoReformatter(), VideoReformatter()
        self._moments: list[_Moment] = []
        self._alone: list[_Moment] = []
        self._due = 0.0
        self.turns = 0

    def see(self, time: float, frame: Any, *, follows: bool) -> None:
        """Takes in the frame shown at `time` seconds, which `follows` upon the last one or doesn't."""
        begins = self._cuts.see(time, _scaled(self._miniature, frame, _SMALL, Interpolation.AREA))
        self._vectors.see(time, frame, follows=follows)
        self.turns = round(frame.rotation / 90)
        if begins or not follows:
            self._alone.clear()
        due = begins or time >= self._due - _TOLERANCE_S
        ready = [moment for moment in self._alone if time - moment.time >= GAP_S - _TOLERANCE_S]
        if not due and not ready:
            return
        pixels = _scaled(self._scaler, frame, self._side, _FINE)
        for moment in ready:
            moment.partner, moment.gap_s = pixels, time - moment.time
            self._alone.remove(moment)
        if due:
            self._moments.append(_Moment(time, pixels, pixels))
            self._alone.append(self._moments[-1])
            self._due = (np.floor(time * self._rate + _TOLERANCE_S) + 1) / self._rate

    def result(self) -> dict[str, Any]:
        """What was seen, upright, by the names of the fields of `Film`.

        Raises:
            MediaError: "undecodable" when there was no frame.
        """
        if not self._moments:
            raise MediaError("undecodable", "the video track has no whole frame")
        self._cuts.settle()
        chosen = pick([moment.time for moment in self._moments], self._cuts.cuts, most=self._most)
        moments = [self._moments[index] for index in chosen]
        pairs = np.array([(moment.pixels, moment.partner) for moment in moments])
        return {
            "pairs": np.ascontiguousarray(np.rot90(pairs, self.turns, axes=(2, 3))),
            "times": np.array([moment.time for moment in moments]),
            "gaps": np.array([moment.gap_s for moment in moments]),
            "cuts": np.array(self._cuts.cuts),
            "fields": self._vectors.turned(self.turns),
            "frame_s": np.array(self._vectors.frame_s),
        }


def _scaled(scaler: VideoReformatter, frame: Any, side: int, how: Interpolation) -> np.ndarray:
    """The frame squashed to uint8 [side, side, 3], RGB."""
    return scaler.reformat(frame, width=side, height=side, format="rgb24", interpolation=how, threads=1).to_ndarray()
