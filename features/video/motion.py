"""How things move in a film, from pairs of frames a short time apart."""

import numpy as np

DIM = 34
_DIRECTIONS = 8
_STEP = 2
_MINIMUM = 1e-3
_STILL = 0.02


def motion(pairs: np.ndarray, gap_s: float) -> np.ndarray:
    """Motion statistics, float32 [34], of frame pairs uint8 [n, 2, 224, 224, 3] that are `gap_s` seconds apart.

    In order:
        0 to 3: change within a pair (mean absolute difference of luma, 0 to 1): mean, standard deviation, most;
        3 to 6: change from one pair to the next, likewise;
        6 to 20: the whole picture's shift (camera), as in `_summary`;
        20 to 34: the shift of what isn't in the film's median picture (things before a fixed camera), likewise.
    """
    luma = _luma(pairs)
    firsts, seconds = luma[:, 0], luma[:, 1]
    ground = np.median(luma.reshape(-1, *luma.shape[2:]), axis=0)
    blocks = (
        _change(np.abs(seconds - firsts).mean(axis=(1, 2))),
        _change(np.abs(np.diff(firsts, axis=0)).mean(axis=(1, 2))),
        _summary(_shifts(firsts, seconds), gap_s),
        _summary(_shifts(firsts - ground, seconds - ground), gap_s),
    )
    return np.concatenate(blocks).astype(np.float32)


def mean_change(pairs: np.ndarray) -> float:
    """Mean absolute difference of luma within pairs, 0 to 1."""
    luma = _luma(pairs)
    return float(np.abs(luma[:, 1] - luma[:, 0]).mean())


def _luma(pairs: np.ndarray) -> np.ndarray:
    """Luma from 0 to 1 at half the size, float32 [n, 2, 112, 112]."""
    n, two, height, width, _ = pairs.shape
    luma = pairs.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    return luma.reshape(n, two, height // _STEP, _STEP, width // _STEP, _STEP).mean(axis=(3, 5))


def _change(values: np.ndarray) -> np.ndarray:
    return np.array([values.mean(), values.std(), values.max()]) if len(values) else np.zeros(3)


def _shifts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Shifts from `before` to `after` [n, h, w] by phase correlation: right and down, in shares of the sides, [n, 2].

    The inverse transform of the normalised cross-power spectrum peaks at the shift (Kuglin and Hines 1975); a parabola
    through the peak's neighbours finds it between pixels. Pairs without contrast or change have shift 0.
    """
    height, width = before.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    spectra = [np.fft.rfft2((x - x.mean(axis=(1, 2), keepdims=True)) * window) for x in (before, after)]
    cross = spectra[1] * np.conj(spectra[0])
    surfaces = np.fft.irfft2(
        cross / np.maximum(np.abs(cross), 1e-9 + 1e-3 * np.abs(cross).max(axis=(1, 2), keepdims=True))
    )
    shifts = np.array([_peak(surface) for surface in surfaces]).reshape(-1, 2)
    flat = (before.std(axis=(1, 2)) < _STILL / 4) | (np.abs(after - before).max(axis=(1, 2)) < _STILL)
    shifts[flat] = 0.0
    return shifts


def _peak(surface: np.ndarray) -> tuple[float, float]:
    """Where the surface is highest, (right, down), as shares of its width and height, between -0.5 and 0.5."""
    height, width = surface.shape
    row, column = (int(i) for i in np.unravel_index(np.argmax(surface), surface.shape))
    down = row + _between(surface[row - 1, column], surface[row, column], surface[(row + 1) % height, column])
    right = column + _between(surface[row, column - 1], surface[row, column], surface[row, (column + 1) % width])
    return _wrapped(right / width), _wrapped(down / height)


def _between(left: float, middle: float, right: float) -> float:
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _wrapped(share: float) -> float:
    return (share + 0.5) % 1.0 - 0.5


def _summary(shifts: np.ndarray, gap_s: float) -> np.ndarray:
    """Of shifts [n, 2], as picture widths (heights) a second: mean right, mean down, mean, standard deviation and most
    of the speed, share of pairs that move; then the speed in each of 8 directions (right, right and down, down, ...),
    averaged over all pairs; [14]."""
    velocities = shifts / gap_s
    speeds = np.hypot(velocities[:, 0], velocities[:, 1])
    speeds[speeds < _MINIMUM] = 0.0
    angles = np.arctan2(velocities[:, 1], velocities[:, 0])
    sectors = np.round(angles / (2 * np.pi / _DIRECTIONS)).astype(int) % _DIRECTIONS
    directions = np.bincount(sectors, speeds, _DIRECTIONS) / len(speeds)
    moving = [speeds.mean(), speeds.std(), speeds.max(), (speeds > 0).mean()]
    return np.concatenate([velocities.mean(axis=0), moving, directions])
