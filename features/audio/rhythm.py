"""Tempo, pulse and onsets of a sound, from its onset envelope."""

from dataclasses import dataclass

import numpy as np

# Tempi at which the pulse is measured, in beats a minute: four an octave.
PULSE_BPM = 30.0 * 2.0 ** (np.arange(13) / 4)
_SLOWEST_BPM, _FASTEST_BPM = 30.0, 300.0
_TYPICAL_BPM, _OCTAVES = 120.0, 1.0


@dataclass(frozen=True)
class Rhythm:
    """The rhythm of a sound.

    `tempo_bpm` is in beats a minute, None where nothing repeats; `pulse` float32 [13] is the autocorrelation of the
    onset envelope at the tempi `PULSE_BPM`.
    """

    tempo_bpm: float | None
    onsets_per_s: float
    pulse: np.ndarray


def onset_envelope(mel_db: np.ndarray) -> np.ndarray:
    """Rise of each frame of `mel_db` [bands, frames] above the one before it, in dB averaged over bands, [frames].

    >>> onset_envelope(np.array([[0.0, 6.0, 3.0], [0.0, 0.0, 4.0]])).tolist()
    [0.0, 3.0, 2.0]
    """
    rises = np.maximum(np.diff(mel_db, axis=1), 0.0).mean(axis=0)
    return np.concatenate([np.zeros(1), rises])


def rhythm(envelope: np.ndarray, frames_per_s: float) -> Rhythm:
    """The rhythm of an onset envelope [frames], not negative.

    The tempo is that of the lag at which the autocorrelation, weighted by a log-normal preference for 120 beats a
    minute, is highest (Ellis 2007, "Beat tracking by dynamic programming"), refined between frames by a parabola.
    """
    pulse = np.zeros(len(PULSE_BPM), np.float32)
    similarity = _autocorrelation(envelope)
    # The parabola needs a neighbour on each side.
    lags = np.arange(1, len(similarity) - 1)
    bpm = 60.0 * frames_per_s / lags if len(lags) else lags
    lags = lags[(bpm >= _SLOWEST_BPM) & (bpm <= _FASTEST_BPM)]
    onsets = _onsets(envelope, frames_per_s)
    if not len(lags) or onsets < 2:
        return Rhythm(None, onsets / max(len(envelope) / frames_per_s, 1e-9), pulse)
    wanted = 60.0 * frames_per_s / PULSE_BPM
    pulse[:] = np.interp(wanted, np.arange(len(similarity)), similarity, right=0.0)
    preference = np.exp(-0.5 * (np.log2(60.0 * frames_per_s / lags / _TYPICAL_BPM) / _OCTAVES) ** 2)
    best = int(lags[np.argmax(similarity[lags] * preference)])
    tempo = 60.0 * frames_per_s / (best + _peak_offset(similarity[best - 1 : best + 2]))
    return Rhythm(float(tempo), onsets * frames_per_s / len(envelope), pulse)


def _autocorrelation(envelope: np.ndarray) -> np.ndarray:
    """Autocorrelation [frames] of the envelope minus its mean, 1 at lag 0; zeros for a constant envelope."""
    if not len(envelope):
        return np.zeros(0)
    centred = envelope.astype(np.float64) - envelope.mean()
    # By the Wiener-Khinchin theorem; zeros to twice the length keep the envelope's end from meeting its beginning.
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    raw = np.fft.irfft(np.abs(spectrum) ** 2)[: len(centred)]
    return raw / raw[0] if raw[0] > 1e-9 else np.zeros(len(raw))


def _peak_offset(three: np.ndarray) -> float:
    """The peak of the parabola through three neighbouring values, as an offset from the middle one, -0.5 to 0.5."""
    left, middle, right = three
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _onsets(envelope: np.ndarray, frames_per_s: float) -> int:
    """The number of peaks: highest within 50 ms on both sides, a standard deviation above the mean, 0.1 dB at least."""
    if len(envelope) < 3:
        return 0
    reach = max(1, round(0.05 * frames_per_s))
    padded = np.pad(envelope, reach)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    floor = max(envelope.mean() + envelope.std(), 0.1)
    return int(((envelope == highest) & (envelope > floor)).sum())
