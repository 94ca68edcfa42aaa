"""Encoders whose vectors arrive in the landing zone: nothing is computed, but each vector keeps the same contract."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from features.arrays import feature_batch, stacked
from features.base import Encoder, MediaError
from schemas.features import GIVEN


class Given(Encoder):
    """Base of the four; its contents are vectors, and it has no readable features: they are null.

    Args:
        name: what made the vectors. Another name is another encoder, whose vectors are not compared with these.
        dim: their width.

    Raises:
        ValueError: either is missing, or is not of that kind.
    """

    name, version = GIVEN, 1

    def __init__(self, *, name: str = "", dim: int = 0) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"name is {name!r:.80}; expected a name for what made the vectors, such as my-clip")
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise ValueError(f"dim is {dim!r:.80}; expected the width of the vectors, a whole number from 1 on")
        self._of, self._dim = name, dim

    @property
    def dim(self) -> int:
        return self._dim

    def parameters(self) -> dict[str, Any]:
        return {"name": self._of, "dim": self._dim}

    def schema(self) -> pa.Schema:
        return pa.schema([field.with_nullable(field.name != "vector") for field in super().schema()])

    def decode(self, content: ArrayLike) -> NDArray[np.float32]:
        """The vector in single precision, float32 [dim].

        Args:
            content: a list or array of numbers.

        Raises:
            MediaError: "vector_type" where it is no list of numbers, "vector_width" where it has not `dim`,
                "vector_not_finite", "vector_overflow" where single precision cannot hold one of them, and
                "vector_constant" where all are equal, which says nothing. The message never quotes the whole vector.
        """
        expected = f"expected a list of {self._dim} numbers"
        try:
            values = np.asarray(content)
        except ValueError:  # lists of different lengths in it
            raise MediaError("vector_type", f"a list of lists; {expected}") from None
        if values.ndim != 1 or (values.dtype.kind not in "iuf" and values.size):
            raise MediaError("vector_type", f"{_described(content)}; {expected}")
        if len(values) != self._dim:
            raise MediaError("vector_width", f"{len(values)} numbers; {expected}, the encoder's dim")
        if (wrong := ~np.isfinite(values)).any():
            raise MediaError("vector_not_finite", f"{_first(values, wrong)}; expected finite numbers")
        with np.errstate(over="ignore"):
            vector = values.astype(np.float32)
        if (wrong := ~np.isfinite(vector)).any():
            limit = f"at most {np.finfo(np.float32).max:.6g} either side of 0"
            raise MediaError("vector_overflow", f"{_first(values, wrong)}; expected {limit}, as single precision holds")
        if self._dim > 1 and (vector == vector[0]).all():
            raise MediaError("vector_constant", f"all numbers are {vector[0]:g}; expected some that differ")
        return vector

    def encode(self, decoded: Sequence[NDArray[np.float32]]) -> pa.RecordBatch:
        """The vectors as they are, and nulls beside them."""
        nothing = dict.fromkeys(field.name for field in self.schema())
        return feature_batch(self.schema(), stacked(decoded, self._dim), [nothing] * len(decoded))


class GivenText(Given):
    modality = "text"


class GivenImage(Given):
    modality = "image"


class GivenAudio(Given):
    modality = "audio"


class GivenVideo(Given):
    modality = "video"


def _described(content: Any) -> str:
    """What arrived in the place of a vector, in a few words."""
    if not isinstance(content, Sequence | np.ndarray) or isinstance(content, str | bytes):
        return f"{type(content).__name__} {content!r:.80}"
    kinds = [f"{number} is {one!r:.40}" for number, one in enumerate(content, 1) if not _is_number(one)]
    return f"number {kinds[0]}" if kinds else "numbers that no array holds"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _first(values: NDArray[Any], wrong: NDArray[np.bool_]) -> str:
    """The first number that is wrong, and its place from 1."""
    place = int(wrong.argmax())
    return f"number {place + 1} is {values[place]:g}"
