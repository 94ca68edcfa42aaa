"""Any video file → a few frames, spread evenly over time."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from features.base import MediaError
from features.media import open_media, probe, run_ffmpeg, video_stream

SIDE = 224
GAP_S = 0.08
_MAX_PACKETS = 100_000
_FRAME_BYTES = SIDE * SIDE * 3


@dataclass(frozen=True)
class Film:
    """Frames of a video.

    `pairs` is uint8 [n, 2, 224, 224, 3], RGB, upright, squashed to a square: n moments, each with the first frame
    that is shown `GAP_S` seconds later or more, so that motion is seen whatever the length of the film. `gap_s` is the
    time between the two, in seconds. `duration_s` is the length of what was read; `truncated` says that there is more.
    `width` and `height` are pixels as the file stores them, `fps` its mean frame rate.
    """

    pairs: np.ndarray
    gap_s: float
    duration_s: float
    width: int
    height: int
    fps: float
    has_audio: bool
    truncated: bool


@dataclass(frozen=True)
class _Timing:
    """What the packets of a video track say: seconds covered, whether there are later ones, mean frames a second."""

    span_s: float
    more: bool
    fps: float


def decode_video(path: Path, *, moments: int = 16, max_seconds: float = 60.0, timeout_s: float = 120.0) -> Film:
    """Up to `moments` pairs of frames from the first `max_seconds` of the video at `path`. Safe in threads.

    Memory is bounded by the number of frames, not by the file. Frame times are read from the packets, as headers lie.

    Raises:
        MediaError: "no-video" for a file without moving pictures, "missing", "empty", "unknown-format", "undecodable"
            with ffmpeg's last words, or "timeout" after `timeout_s` seconds.
    """
    header = probe(path)
    if header.moving is None:
        raise MediaError("no-video", "the file has no video track")
    timing = _timing(path, max_seconds)
    data = run_ffmpeg(
        path,
        max_seconds=max_seconds,
        timeout_s=timeout_s,
        output=_sampling(moments, timing.span_s),
        max_bytes=(2 * moments + 1) * _FRAME_BYTES,
    )
    frames = np.frombuffer(data[: len(data) // _FRAME_BYTES * _FRAME_BYTES], np.uint8)
    return Film(
        pairs=_paired(frames.reshape(-1, SIDE, SIDE, 3)),
        gap_s=_gap_s(timing.fps),
        duration_s=timing.span_s,
        width=header.moving.width,
        height=header.moving.height,
        fps=timing.fps,
        has_audio=header.sound is not None,
        truncated=timing.more,
    )


def _timing(path: Path, max_seconds: float) -> _Timing:
    """Reads packets without decoding them, up to the first that is later than `max_seconds`."""
    with open_media(path) as container:
        stream = video_stream(container)
        rate = float(stream.average_rate or 0)
        times, more = _packet_times(container, stream, max_seconds)
    if not times:
        return _Timing(max_seconds, more, rate)
    span = min(max(max(end for _, end in times) - min(start for start, _ in times), 1e-3), max_seconds)
    return _Timing(span, more, len(times) / span if len(times) > 1 else rate)


def _packet_times(container: Any, stream: Any, max_seconds: float) -> tuple[list[tuple[float, float]], bool]:
    """Start and end of the packets in the first `max_seconds`, in seconds, and whether there are more packets.

    A broken packet ends the list: ffmpeg decides later what can be decoded, and says what can't.
    """
    times: list[tuple[float, float]] = []
    with contextlib.suppress(FFmpegError):
        for packet in container.demux(stream):
            stamp = packet.dts if packet.pts is None else packet.pts
            if packet.size == 0 or stamp is None:
                continue
            start = float(stamp * packet.time_base)
            if len(times) == _MAX_PACKETS or (times and start - times[0][0] >= max_seconds):
                return times, True
            times.append((start, start + float((packet.duration or 0) * packet.time_base)))
    return times, False


def _sampling(moments: int, span_s: float) -> dict[str, Any]:
    """ffmpeg's output options that pick the frames.

    Time is cut into `moments` equal parts. Of each part the first frame is taken, and with it the first frame that
    comes `GAP_S` later: an odd number of frames taken so far means that the second of a pair is still to come.
    """
    part = f"floor(t*{moments / span_s:.9f})"
    before = f"floor(prev_selected_t*{moments / span_s:.9f})"
    partner = f"gte(t-prev_selected_t,{GAP_S - 1e-3:.4f})"
    wanted = f"if(isnan(prev_selected_t),1,if(mod(selected_n,2),{partner},gt({part},{before})))"
    steps = (
        "setpts=PTS-STARTPTS",
        f"select='{wanted}'",
        f"scale={SIDE}:{SIDE}:flags=bicubic+accurate_rnd+full_chroma_int",
        "setsar=1",
        "setpts=N/(25*TB)",  # so that no frame is repeated or dropped at the output's 25 frames a second
    )
    return {
        "map": "0:V:0",
        "vf": ",".join(steps),
        "r": 25,
        "frames:v": 2 * moments,
        "format": "rawvideo",
        "pix_fmt": "rgb24",
    }


def _paired(frames: np.ndarray) -> np.ndarray:
    """Frames [m, ...] as pairs [ceil(m / 2), 2, ...]; a last frame without a partner is its own.

    Raises:
        MediaError: "undecodable" when there are no frames.
    """
    if not len(frames):
        raise MediaError("undecodable", "the video track has no whole frame")
    if len(frames) % 2:
        frames = np.concatenate([frames, frames[-1:]])
    return frames.reshape(-1, 2, *frames.shape[1:])


def _gap_s(fps: float) -> float:
    """Seconds between the frames of a pair: the least multiple of the mean frame time that isn't below `GAP_S`."""
    return float(np.ceil(GAP_S * fps - 1e-2) / fps) if fps > 0 else GAP_S
