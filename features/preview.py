"""A small piece of a media file to show to a person: a picture, the first frame of a film, some seconds of a sound.

`features.decoding.worker_pool` decodes with it, as with an encoder.
"""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from features.base import MediaError
from features.decoding.ffmpeg import audio_header, open_media, run_ffmpeg, video_stream
from features.image.load import load_picture

Kind = Literal["image", "audio", "video"]

TIMEOUT_S = 20.0
QUALITY = 60
SOUND = {"format": "mp3", "acodec": "libmp3lame", "ac": 1, "ar": 22050, "audio_bitrate": "32k", "map_metadata": -1}


class Preview:
    """What is shown of media files of one kind.

    Args:
        kind: image, audio or video.
        side: height and width of pictures, in pixels.
        seconds: length of sounds.
    """

    def __init__(self, kind: Kind, *, side: int = 144, seconds: float = 5.0) -> None:
        self._kind, self._side, self._seconds = kind, side, seconds

    def decode(self, path: Path) -> bytes:
        """A file's preview: a square WebP of the middle of the picture or of the film's first frame, or an MP3 of the
        sound's beginning.

        Raises:
            MediaError: it cannot be decoded.
        """
        if self._kind == "image":
            return _webp(load_picture(path, side=self._side, fit="cover").pixels)
        if self._kind == "video":
            return _webp(_first_frame(path, self._side))
        return _beginning(path, self._seconds)


def _webp(pixels: np.ndarray) -> bytes:
    """Pixels uint8 [side, side, 3] as a WebP."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue()


def _first_frame(path: Path, side: int) -> np.ndarray:
    """uint8 [side, side, 3], the middle of the first whole frame, as it is shown."""
    from features.video.frame_reader import FrameReader
    from features.video.orientation import FrameTurner, frame_orientation, side_data

    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError("no-video", "the file has no video track that can be decoded")
        try:
            reader = FrameReader(container, stream, max_seconds=1.0, pieces=1, timeout_s=TIMEOUT_S)
            for _, frame in reader:
                upright = FrameTurner().turned(frame, frame_orientation(frame, side_data(frame)))
                image = upright.to_image()
                short = min(image.size)
                left, top = (image.width - short) // 2, (image.height - short) // 2
                box = (left, top, left + short, top + short)
                return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC, box=box))
        except (OSError, ValueError, ArithmeticError) as error:
            raise MediaError("undecodable", getattr(error, "strerror", None) or str(error)) from error
    raise MediaError("undecodable", "the video track has no whole frame")


def _beginning(path: Path, seconds: float) -> bytes:
    """The first seconds of the first audio stream, as an MP3 with one channel."""
    tracks = audio_header(path).tracks
    if not tracks:
        raise MediaError("no-audio", "the file has no audio track that can be decoded")
    output = SOUND | {"map": f"0:a:{tracks[0].position}"}
    return run_ffmpeg(path, max_seconds=seconds, timeout_s=TIMEOUT_S, output=output, max_bytes=1 << 20)
