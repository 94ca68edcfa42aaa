"""ONNX models of a few numbers, whose outputs can be worked out by hand. Vectors are 4 wide."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import BertWordPieceTokenizer

from tests.features.text import tiny_bert

WIDTH, SIDE = 4, 16
RGB_TO_VECTOR = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]], np.float32)
"""Red, green, blue, and their sum."""
TABLE = np.random.default_rng(3).normal(size=(len(tiny_bert.VOCABULARY), WIDTH)).astype(np.float32)
"""The vector of each token."""
Shape = Sequence[int | str | None]


def image(path: Path, *, layout: str = "NCHW", rows: Shape = ("n",), dtype: int = TensorProto.FLOAT) -> str:
    """Two outputs: `embeds` [n, 4], the mean colour by `RGB_TO_VECTOR`; `states` [n, 256, 4], that of each pixel."""
    axes = [*rows, 3, SIDE, SIDE] if layout == "NCHW" else [*rows, SIDE, SIDE, 3]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["values"], ["last"], perm=[0, 2, 3, 1] if layout == "NCHW" else [0, 1, 2, 3]),
        helper.make_node("Reshape", ["last", "places"], ["tokens"]),
        helper.make_node("MatMul", ["tokens", "weights"], ["states"]),
        helper.make_node("ReduceMean", ["states"], ["embeds"], axes=[1], keepdims=0),
    ]
    outputs = {"embeds": [*rows, WIDTH], "states": [*rows, SIDE * SIDE, WIDTH]}
    constants = {"weights": RGB_TO_VECTOR, "places": np.array([0, -1, 3] if rows == ("n",) else [1, -1, 3])}
    return _save(path, nodes, {"pixels": (dtype, axes)}, outputs, constants)


def text(path: Path, *, tokens: int | str = "tokens", mask: bool = True) -> str:
    """`states` [n, tokens, 4], the rows of `TABLE`; beside the model the tokenizer of `tiny_bert`."""
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["states" if not mask else "found"])]
    inputs = {"input_ids": (TensorProto.INT64, ["n", tokens])}
    if mask:
        # A mask that is read, so that the model has it: states of padding become 0.
        inputs["attention_mask"] = (TensorProto.INT64, ["n", tokens])
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["seen"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["seen", "last"], ["column"]),
            helper.make_node("Mul", ["found", "column"], ["states"]),
        ]
    tiny_bert.write(path.parent)
    BertWordPieceTokenizer(str(path.parent / "vocab.txt"), lowercase=True).save(str(path.parent / "tokenizer.json"))
    constants = {"table": TABLE, "last": np.array([2])} if mask else {"table": TABLE}
    return _save(path, nodes, inputs, {"states": ["n", tokens, WIDTH]}, constants)


def audio(path: Path, *, samples: Shape = ("n", "samples")) -> str:
    """`embeds` [n, 4], mean, mean square, highest and lowest of a waveform; without an axis of rows, [1, 4] of one."""
    last = len(samples) - 1
    nodes = [
        helper.make_node("Mul", ["waveform", "waveform"], ["square"]),
        helper.make_node("ReduceMean", ["waveform"], ["mean"], axes=[last], keepdims=1),
        helper.make_node("ReduceMean", ["square"], ["power"], axes=[last], keepdims=1),
        helper.make_node("ReduceMax", ["waveform"], ["highest"], axes=[last], keepdims=1),
        helper.make_node("ReduceMin", ["waveform"], ["lowest"], axes=[last], keepdims=1),
        helper.make_node("Concat", ["mean", "power", "highest", "lowest"], ["four"], axis=last),
        helper.make_node("Reshape", ["four", "shape"], ["embeds"]),
    ]
    inputs = {"waveform": (TensorProto.FLOAT, list(samples))}
    return _save(path, nodes, inputs, {"embeds": ["n", WIDTH]}, {"shape": np.array([-1, WIDTH])})


def spectrum(path: Path, *, bands: int, layout: str) -> str:
    """`states` [n, frames, bands], the input itself, of a log-mel spectrum in one of four layouts."""
    axes: list[int | str] = [{"N": "n", "C": 1, "F": bands, "T": "frames"}[axis] for axis in layout]
    order = [layout.index(axis) for axis in "NTF"]
    nodes = [
        helper.make_node("Transpose", ["mel"], ["moved"], perm=[*order, *([1] if "C" in layout else [])]),
        helper.make_node("Reshape", ["moved", "shape"], ["states"]),
    ]
    inputs = {"mel": (TensorProto.FLOAT, axes)}
    return _save(path, nodes, inputs, {"states": ["n", "frames", bands]}, {"shape": np.array([0, 0, bands])})


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, Shape]],
    outputs: dict[str, Shape],
    constants: dict[str, np.ndarray],
) -> str:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, dtype, shape) for name, (dtype, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)
