"""Base class of the audio encoders whose network, and what it is given, are told by parameters."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, get_args

import numpy as np

from features.audio.base import AudioEncoder, Sound, waveform
from features.audio.decode import Clip
from features.keras_forward import check_options, forward
from features.pooling import Pooled

Input = Literal["waveform", "log-mel"]
Scale = Literal["slaney", "htk"]
Logarithm = Literal["ln", "db", "whisper"]
_QUIETEST = 1e-10
_RATES = range(1000, 192_001)


class PreparedSound(AudioEncoder):
    """Base class of the encoders that prepare sounds as their parameters say; a subclass adds `network`.

    A sound is cut into pieces of `piece_s` seconds, the last one filled up with silence; their vectors are averaged,
    weighted by how much of them is sound. Networks are given the sound as it was decoded: `denoise` and `trim_db` only
    change the readable columns.

    Args:
        sample_rate: samples a second, in Hz, that the network was trained with.
        input: `waveform`, samples from -1 to 1; or `log-mel`, the logarithm of power in mel bands, whose other
            parameters follow. Either becomes `(value - mean) / std`.
        piece_s: seconds of sound a call of the network.
        mean, std: as above.
        mels: number of bands.
        n_fft, hop: samples of a (Hann) window of the spectrum, and from one to the next; windows are centred, their
            ends mirrored.
        f_min, f_max: lowest and highest frequency, in Hz; `f_max` None for half of the sample rate.
        mel_scale: `slaney`, bands of equal area (librosa, Whisper, CLAP), or `htk`, of equal height (torchaudio).
        logarithm: of power, at least 1e-10: `ln`; `db`, ten times the decimal one; `whisper`, the decimal one, at most
            8 below the piece's highest, plus 4, divided by 4, without the last frame.
        batch: pieces a call of the network; not part of the fingerprint.
        space: as in `Encoder`; not part of the fingerprint.
        reading: `max_seconds`, `window_s`, `windows`, `denoise`, `trim_db`, `timeout_s`, as in `AudioEncoder`.

    Raises:
        ValueError: a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 16_000,
        input: Input = "waveform",
        piece_s: float = 10.0,
        mean: float = 0.0,
        std: float = 1.0,
        mels: int = 80,
        n_fft: int = 400,
        hop: int = 160,
        f_min: float = 0.0,
        f_max: float | None = None,
        mel_scale: Scale = "slaney",
        logarithm: Logarithm = "ln",
        batch: int = 4,
        space: str = "",
        **reading: Any,
    ) -> None:
        super().__init__(**reading)
        check_options(batch=batch, precision="float32")
        for name, value, choices in (
            ("input", input, Input),
            ("mel_scale", mel_scale, Scale),
            ("logarithm", logarithm, Logarithm),
        ):
            if value not in get_args(choices):
                raise ValueError(f"{name} is {value!r}; expected one of {', '.join(get_args(choices))}")
        for name, whole in {"mels": mels, "n_fft": n_fft, "hop": hop}.items():
            if not isinstance(whole, int) or whole < 1:
                raise ValueError(f"{name} is {whole!r}; expected a whole number from 1")
        if sample_rate not in _RATES:
            raise ValueError(f"sample_rate is {sample_rate!r}; expected Hz from {_RATES[0]} to {_RATES[-1]}")
        self.piece = round(piece_s * sample_rate) if 0 < piece_s <= self.max_seconds else 0
        if self.piece < n_fft:
            raise ValueError(
                f"piece_s is {piece_s!r}; expected seconds up to {self.max_seconds:g}, n_fft samples at least"
            )
        if std == 0:
            raise ValueError("std is 0; expected another number")
        if not 0 <= f_min < (f_max or sample_rate / 2) <= sample_rate / 2:
            raise ValueError(f"f_min is {f_min!r} and f_max {f_max!r}; expected Hz from 0 to {sample_rate / 2:g}")
        self.sample_rate = sample_rate
        self.input = input
        self.mean = float(mean)
        self.std = float(std)
        self.mels = mels
        self.n_fft = n_fft
        self.hop = hop
        self.bands = (float(f_min), float(f_max or sample_rate / 2), mel_scale)
        self.logarithm = logarithm
        self.batch = batch
        self.space = space

    def parameters(self) -> dict[str, Any]:
        spectrum = {"mels": self.mels, "n_fft": self.n_fft, "step": self.hop, "bands": list(self.bands)}
        own = {"input": self.input, "piece": self.piece, "mean": self.mean, "std": self.std}
        of_spectrum = spectrum | {"logarithm": self.logarithm} if self.input == "log-mel" else {}
        return super().parameters() | own | of_spectrum

    @property
    def frames(self) -> int:
        """Frames of a piece's spectrum."""
        return self.piece // self.hop + (self.logarithm != "whisper")

    @abstractmethod
    def network(self) -> Pooled:
        """The network that takes what `arrays` makes → [n, dim]; built once a process."""

    @abstractmethod
    def arrays(self, prepared: np.ndarray, filled: np.ndarray) -> list[np.ndarray]:
        """The network's inputs, without `filled` at their end.

        Args:
            prepared: float32 [n, samples], or [n, bands, frames].
            filled: [n], the share of each piece that is sound.
        """

    def embed(self, sounds: Sequence[Sound]) -> np.ndarray:
        return self._embedded([sound.waveform for sound in sounds])

    def vectors(self, decoded: Sequence[Clip]) -> np.ndarray:
        """As the base's, without the analysis of the sound, which the network does not need."""
        return self._embedded([waveform(clip) for clip in decoded])

    def _embedded(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors float32 [n, dim] of samples, [samples] of each sound, at the encoder's rate."""
        network, length = self.network(), self.piece
        pieces = [
            (row, samples[start : start + length])
            for row, samples in enumerate(waveforms)
            for start in range(0, len(samples), length)
        ]
        sums = np.zeros((len(waveforms), self.dim))
        # A call of the network at a time, filled across sounds.
        for start in range(0, len(pieces), self.batch):
            rows, parts = zip(*pieces[start : start + self.batch], strict=True)
            filled = np.array([len(part) for part in parts]) / length
            prepared = self._prepared(np.stack([np.pad(part, (0, length - len(part))) for part in parts]))
            vectors = forward(network, [*self.arrays(prepared, filled), filled], batch=self.batch)[0]
            np.add.at(sums, list(rows), vectors * filled[:, None])
        seconds = np.array([len(samples) for samples in waveforms]).reshape(-1, 1) / length
        return (sums / seconds).astype(np.float32)

    def _prepared(self, pieces: np.ndarray) -> np.ndarray:
        """Pieces [n, samples] as the parameters say: the same shape, or [n, bands, frames]."""
        if self.input == "log-mel":
            pieces = np.stack([self._log_mel(piece) for piece in pieces])
        return (pieces - np.float32(self.mean)) / np.float32(self.std)

    def _log_mel(self, piece: np.ndarray) -> np.ndarray:
        """Logarithm of the power in mel bands, float32 [bands, frames]."""
        import librosa

        power = np.abs(librosa.stft(piece, n_fft=self.n_fft, hop_length=self.hop, pad_mode="reflect")) ** 2
        mel = _filters(self.sample_rate, self.n_fft, self.mels, *self.bands) @ power[:, : self.frames]
        mel = np.maximum(mel, np.float32(_QUIETEST))
        if self.logarithm == "ln":
            return np.log(mel)
        if self.logarithm == "db":
            return 10 * np.log10(mel)
        exponents = np.log10(mel)
        return (np.maximum(exponents, exponents.max() - 8) + 4) / 4


@cache
def _filters(rate: int, n_fft: int, mels: int, f_min: float, f_max: float, scale: Scale) -> np.ndarray:
    """Mel filters [mels, n_fft // 2 + 1]."""
    import librosa

    kind: Any = {"htk": True, "norm": None} if scale == "htk" else {"htk": False, "norm": "slaney"}
    return librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=mels, fmin=f_min, fmax=f_max, **kind)
