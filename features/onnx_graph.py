"""Building a network as an ONNX graph in memory."""

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from features.onnx_session import Network, Tensor, session, task_threads

FLOAT = TensorProto.FLOAT
FUSED = "com.microsoft"
"""The domain of ONNX Runtime's own operators, which do the work of several."""
_OPSETS = {"": 20, FUSED: 1}
_IR_VERSION = 10


class Graph:
    """A graph that grows by one operator at a time.

    `inputs` are the network's; an operator's inputs and output are named by strings.
    """

    def __init__(self, *inputs: Tensor) -> None:
        self._inputs = inputs
        self._model = ModelProto(ir_version=_IR_VERSION)
        self._model.opset_import.extend(helper.make_opsetid(*opset) for opset in _OPSETS.items())
        self._model.graph.name = "network"
        for tensor in inputs:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
            self._model.graph.input.append(helper.make_tensor_value_info(tensor.name, kind, tensor.shape))

    def add(self, operator: str, *inputs: str | np.ndarray | np.generic, domain: str = "", **attributes: Any) -> str:
        """Adds an operator and returns its output. An input that is an array becomes a weight."""
        output = f"tensor_{len(self._model.graph.node)}"
        names = [tensor if isinstance(tensor, str) else self._weight(np.asarray(tensor)) for tensor in inputs]
        self._model.graph.node.append(helper.make_node(operator, names, [output], domain=domain, **attributes))
        return output

    def network(self, *outputs: str, width: int) -> Network:
        """The network, ready to run, with float32 outputs, of which the first is [n, `width`]; the graph is used up."""
        for name in outputs:
            shape = ("n", width) if name == outputs[0] else None
            self._model.graph.output.append(helper.make_tensor_value_info(name, FLOAT, shape))
        file = self._model.SerializeToString()
        self._model.Clear()  # weights may be large
        return Network(session(file, threads=task_threads()), self._inputs, outputs)

    def _weight(self, array: np.ndarray) -> str:
        weights = self._model.graph.initializer
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        # Filled in place: `onnx.helper` would copy each weight several times.
        weights.add(name=f"weight_{len(weights)}", data_type=kind, dims=array.shape, raw_data=array.tobytes())
        return weights[-1].name
