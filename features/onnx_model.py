"""An exported model as the network of an encoder: its file, the output that becomes the vector, and its inputs."""

from collections.abc import Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.onnx_session import Declared, Network, Tensor, declared, session, task_threads
from features.pooling import Pooled, check_pooling, check_width
from features.weights import files_sha256
from schemas.errors import did_you_mean

if TYPE_CHECKING:
    import onnxruntime

FLOATS = ("float32", "float16", "float64")
WHOLE = ("int64", "int32")


class OnnxModel:
    """An ONNX file and what of it is used. Its weights are not loaded before `network` is asked for.

    Args:
        weights: path of the file; weights that it keeps in other files are found beside it.
        output: name of the output; None where there is one.
        pooling: one of `features.pooling.Pooling`.
        dim: width of the vectors, for a model that does not declare it.
        rows: False for a model whose input is one content, without an axis of rows.

    Attributes:
        declared: what the file declares.
        width: width of the vectors.

    Raises:
        ValueError: there is no such file or output, or it is no vector under this pooling.
    """

    def __init__(self, weights: str, *, output: str | None, pooling: str, dim: int | None, rows: bool = True) -> None:
        check_pooling(pooling)
        self.path = _checked(weights)
        self.declared: Declared = declared(self.path)
        self.rows = rows
        self.pooling = pooling
        self.output = self._output(output)
        self.width = self._width(dim)

    def parameters(self) -> dict[str, Any]:
        return {"output": self.output.name, "pooling": self.pooling}

    def weights_hash(self) -> str:
        """SHA-256 over the model's files, hex; a copy under another path has the same."""
        return files_sha256(self.declared.files)

    def only_input(self) -> Tensor:
        """The model's input.

        Raises:
            ValueError: it has several.
        """
        if len(self.declared.inputs) != 1:
            raise self.mismatch("one input")
        return self.declared.inputs[0]

    def check(self, tensor: Tensor, shape: Sequence[int | None], dtypes: Sequence[str], why: str) -> None:
        """See that an input takes arrays of this shape.

        Args:
            tensor: the input.
            shape: with the axis of rows, which may be 1 in the model; None for any size.
            dtypes: those that can be given.
            why: the parameters that the shape follows from, for the error.

        Raises:
            ValueError: another rank, dtype, or fixed size.
        """
        axes = ", ".join("n" if axis is None else str(axis) for axis in shape)
        words = f"{dtypes[0]} [{axes}], which follows from {why}"
        if tensor.dtype not in dtypes:
            raise self.mismatch(words)
        if tensor.shape is None:
            return
        pairs = list(zip(tensor.shape, shape, strict=False))
        if len(tensor.shape) != len(shape) or any(
            isinstance(has, int) and wanted is not None and has != wanted for has, wanted in pairs
        ):
            raise self.mismatch(words)
        if self.rows and isinstance(tensor.shape[0], int) and tensor.shape[0] != 1:
            raise self.mismatch(f"a first axis of 1 or of no fixed size, for the rows ({words})")

    def mismatch(self, expected: str) -> ValueError:
        """The error for inputs that are not those expected; it names them."""
        takes = ", ".join(map(str, self.declared.inputs)) or "nothing"
        return ValueError(f"the model in {self.path} takes {takes}; expected {expected}")

    def one_by_one(self, inputs: Sequence[Tensor]) -> bool:
        """Whether a call takes one content."""
        return not self.rows or any(tensor.shape and isinstance(tensor.shape[0], int) for tensor in inputs)

    def network(self, inputs: Sequence[Tensor]) -> Pooled:
        """What runs: arrays in the order of `inputs`, then `filled` as `features.pooling.pool` takes it."""
        running = Network(
            _session(self.path, task_threads()),
            tuple(inputs),
            (self.output.name,),
            one_by_one=self.one_by_one(inputs),
            rows=self.rows,
        )
        return Pooled(running, self.pooling, self.width, str(self.path))

    def _output(self, name: str | None) -> Tensor:
        outputs = {tensor.name: tensor for tensor in self.declared.outputs}
        if name is None and len(outputs) == 1:
            return self.declared.outputs[0]
        gives = ", ".join(map(str, outputs.values()))
        if name is None:
            raise ValueError(f"the model in {self.path} gives {gives}; name the one that is wanted as output")
        if name not in outputs:
            near = did_you_mean(name, outputs)
            raise ValueError(f"output is {name!r}, which the model in {self.path} has not; {near}it gives {gives}")
        return outputs[name]

    def _width(self, dim: int | None) -> int:
        """The vectors' width, as declared or given; of a model without an axis of rows, a row's axes are all."""
        check_width(dim)
        shape = self.output.shape
        axes = None if shape is None else shape[1:] if self.rows else shape
        found: int | str = ""
        if axes is not None:
            if self.pooling == "none":
                fixed = [axis for axis in axes if isinstance(axis, int)]
                if not axes or sum(axis != 1 for axis in axes) > 1:
                    raise ValueError(f"the output {self.output} is no vector; give pooling: cls, mean or max")
                found = prod(fixed) if len(fixed) == len(axes) else ""
            elif len(axes) != 2:
                raise ValueError(f"the output {self.output} has no vector a token; give pooling: none")
            else:
                found = axes[-1]
        if isinstance(found, int):
            if dim not in (None, found):
                raise ValueError(
                    f"dim is {dim}, and the output {self.output} makes vectors {found} wide; leave dim out"
                )
            return found
        if dim is None:
            raise ValueError(f"the output {self.output} has no fixed width; give the vectors' width as dim")
        return dim


def _checked(weights: str) -> Path:
    if not isinstance(weights, str) or not Path(weights).is_file():
        raise ValueError(f"weights is {weights!r}, which is no file; give the path of an ONNX model (.onnx)")
    return Path(weights)


@cache
def _session(path: Path, threads: int) -> "onnxruntime.InferenceSession":
    """The session of a file, opened once a process."""
    return session(path, threads=threads)
