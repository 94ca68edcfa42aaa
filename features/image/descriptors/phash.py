"""A perceptual hash for finding near-duplicates: the hashes of similar pictures differ in few bits."""

import numpy as np

from features.image.descriptors.luma import luma

_SIDE = 32
_BITS = 8
_NOISE_DECIMALS = 6


def perceptual_hash(pixels: np.ndarray) -> int:
    """The DCT hash pHash (Zauner 2010) of a picture.

    Luma is averaged to 32 x 32 and transformed; of the coefficients 1 to 8 along each axis (0 is mean brightness) those
    above their median are one bits, row by row, the first one highest.

    Args:
        pixels: uint8 [h, w, 3], RGB.

    Returns: 64 bits as a signed integer, -2^63 to 2^63 - 1; 0 for an even picture. In SQL, `bit_count(xor(a, b))` is
        the Hamming distance: up to 8 or so for the same picture in another size or encoding, about 32 for two unrelated
        pictures.

    >>> picture, other = np.random.default_rng(0).integers(0, 128, (2, 32, 32, 3), np.uint8)
    >>> brighter, larger = picture + 100, picture.repeat(4, axis=0).repeat(4, axis=1)
    >>> [(perceptual_hash(picture) ^ perceptual_hash(copy)).bit_count() for copy in (brighter, larger, other)]
    [0, 0, 38]
    """
    from scipy.fft import dctn

    coefficients = dctn(luma(pixels, _SIDE).astype(np.float64), norm="ortho")[1 : _BITS + 1, 1 : _BITS + 1]
    # Coefficients that differ from zero by rounding errors alone must not set bits.
    lowest = coefficients.round(_NOISE_DECIMALS)
    bits = lowest > np.median(lowest)
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)
