"""Any video file → a few frames of each scene, and the motion between frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from features.base import MediaError
from features.decoding.ffmpeg import open_media, video_stream
from features.video.frame_reader import FrameReader
from features.video.motion.codec_vectors import CELLS, MotionVectors
from features.video.orientation import FrameTurner, Orientation, frame_orientation, side_data
from features.video.shot_detection import CutDetector, select_frames

SIDE = 224
GAP_S = 0.08
MOST_LOOKED_AT = 1000
_SMALL = 32
_FINE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_TOLERANCE_S = 1e-3


@dataclass(frozen=True)
class Film:
    """A decoded film.

    Attributes:
        pairs: uint8 [n, 2, side, side, 3], RGB, as shown, squashed to a square: n frames that represent the film, each
            with the first frame of the same scene that is shown `GAP_S` seconds later or more.
        times: [n], when the frames are shown, in seconds after the film's first frame.
        gaps: [n], seconds between the two frames of a pair; 0 where a frame has no partner and stands twice.
        cuts: seconds at which one scene ends and another begins, also where parts of a long film meet.
        fields: float32 [m, 8, 8, 2], motion of a grid of cells by the codec's motion vectors, right and down as shown,
            in pixels a frame, NaN where unknown; m is 0 for codecs without any.
        frame_s: [m], seconds between the frames of each field.
        duration_s: the end of the last frame that was read, in seconds.
        width, height: pixels, as stored in the file.
        sideways: the film is shown with a quarter turn, so that width and height change places.
        aspect: width over height, as shown.
        fps: mean frame rate of what was read.
        has_audio: the file has an audio stream.
        truncated: a part of the film wasn't read.
        sound: the decoded sound track, None where it hasn't been decoded.
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
    sideways: bool
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
    """Decodes the film at `path`. Thread-safe.

    Memory and work are bounded for every file (see `FrameReader`). Times are those of the frames, as headers may be
    wrong. FFmpeg's libraries run in the calling process, which may crash: untrusted files are decoded through
    `features.decoding.worker_pool`.

    Args:
        path: the file.
        rate: frames a second that are candidates, beside the first frame of every scene.
        moments: most frames that are kept.
        max_seconds: most seconds of the film that are read.
        pieces: number of parts, spread evenly, that are read of a longer film.
        side: height and width of the frames, in pixels.
        timeout_s: wall-clock limit, in seconds.

    Raises:
        MediaError: "no-video" for a file without a video stream, "missing", "empty", "unknown-format", "undecodable"
            with FFmpeg's error message, or "timeout".
    """
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError("no-video", "the file has no video track that can be decoded")
        reader = FrameReader(container, stream, max_seconds=max_seconds, pieces=pieces, timeout_s=timeout_s)
        film = _film(reader, FrameSampler(rate=rate, moments=moments, side=side), container, stream)
    if not reader.header_wrong:
        return film
    return decode_video(
        path, rate=rate, moments=moments, max_seconds=max_seconds, pieces=1, side=side, timeout_s=timeout_s
    )


def _film(reader: FrameReader, sampler: "FrameSampler", container: Any, stream: Any) -> Film:
    """The film of the frames from `reader`, as chosen by `sampler`.

    Raises:
        MediaError: "undecodable" or "timeout".
    """
    try:
        for time, frame in reader:
            sampler.add_frame(time, frame, follows=not reader.jumped)
    except (OSError, ValueError, ArithmeticError) as error:
        raise MediaError("undecodable", getattr(error, "strerror", None) or str(error)) from error
    width, height = max(1, stream.codec_context.width), max(1, stream.codec_context.height)
    aspect = width / height * float(stream.sample_aspect_ratio or 1)
    return Film(
        **sampler.result(),
        duration_s=reader.end,
        width=width,
        height=height,
        sideways=sampler.orientation.sideways,
        aspect=1 / aspect if sampler.orientation.sideways else aspect,
        fps=reader.frames / max(reader.seconds, _TOLERANCE_S),
        has_audio=len(container.streams.audio) > 0,
        truncated=reader.truncated,
    )


@dataclass
class _Moment:
    """A candidate frame at `time` seconds and its partner `gap_s` seconds later; without one, itself and 0."""

    time: float
    pixels: np.ndarray
    partner: np.ndarray
    gap_s: float = 0.0


class FrameSampler:
    """Chooses the frames that represent a film while its frames are read one after the other.

    Candidates are the first frame of every 1 / `rate` seconds and of every scene; at the end at most `moments` of them
    are selected.

    Attributes:
        orientation: how the last frame is shown.
    """

    def __init__(self, *, rate: float, moments: int, side: int) -> None:
        self._rate, self._most, self._side = rate, moments, side
        self._cuts, self._vectors = CutDetector(), MotionVectors()
        # A reformatter caches its tables for one pair of sizes.
        self._scaler, self._small_scaler = VideoReformatter(), VideoReformatter()
        self._moments: list[_Moment] = []
        self._unpaired: list[_Moment] = []
        self._due = 0.0
        self.orientation = Orientation()
        self._turner = FrameTurner()

    def add_frame(self, time: float, frame: Any, *, follows: bool) -> None:
        """Processes the next frame.

        Args:
            time: when the frame is shown, in seconds.
            frame: an `av.VideoFrame`.
            follows: the frame comes directly after the one before it, with no part left out between them.
        """
        begins = self._cuts.add_frame(time, _scaled(self._small_scaler, frame, _SMALL, Interpolation.AREA))
        attached = side_data(frame)
        self.orientation = frame_orientation(frame, attached)
        self._vectors.add_frame(time, frame, attached=attached, orientation=self.orientation, follows=follows)
        # No pair crosses a cut or a gap.
        if begins or not follows:
            self._unpaired.clear()
        due = begins or time >= self._due - _TOLERANCE_S
        ready = [moment for moment in self._unpaired if time - moment.time >= GAP_S - _TOLERANCE_S]
        # Most frames are neither a candidate nor a partner: they aren't scaled.
        if not due and not ready:
            return
        pixels = _scaled(self._scaler, self._turner.turned(frame, self.orientation), self._side, _FINE)
        for moment in ready:
            moment.partner, moment.gap_s = pixels, time - moment.time
            self._unpaired.remove(moment)
        if due:
            self._moments.append(_Moment(time, pixels, pixels))
            self._unpaired.append(self._moments[-1])
            # The next multiple of 1 / rate.
            self._due = (np.floor(time * self._rate + _TOLERANCE_S) + 1) / self._rate

    def result(self) -> dict[str, Any]:
        """The selected frames and the motion, as shown, by the names of the fields of `Film`.

        Raises:
            MediaError: "undecodable" where there was no frame.
        """
        if not self._moments:
            raise MediaError("undecodable", "the video track has no whole frame")
        self._cuts.finish()
        selected = select_frames([moment.time for moment in self._moments], self._cuts.cuts, most=self._most)
        moments = [self._moments[index] for index in selected]
        return {
            "pairs": np.array([(moment.pixels, moment.partner) for moment in moments]),
            "times": np.array([moment.time for moment in moments]),
            "gaps": np.array([moment.gap_s for moment in moments]),
            "cuts": np.array(self._cuts.cuts),
            "fields": np.array(self._vectors.fields, np.float32).reshape(-1, CELLS, CELLS, 2),
            "frame_s": np.array(self._vectors.frame_s),
        }


def _scaled(scaler: VideoReformatter, frame: Any, side: int, how: Interpolation) -> np.ndarray:
    """The frame squashed to RGB, uint8 [side, side, 3]."""
    return scaler.reformat(frame, width=side, height=side, format="rgb24", interpolation=how, threads=1).to_ndarray()
