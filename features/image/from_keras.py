"""A convolutional network of `keras.applications` as an ONNX graph."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from features.onnx_graph import Graph

if TYPE_CHECKING:
    import keras


def add_network(graph: Graph, network: "keras.Model", pixels: str) -> str:
    """Adds the layers of a functional model to a graph.

    Args:
        graph: grows by the layers.
        network: a model with one input [n, height, width, channels] and one output.
        pixels: the input, with the axes n, channels, height, width.

    Returns: the output.

    Raises:
        ValueError: the network has a layer of a kind that isn't translated here.
    """
    made: dict[int, str] = {}
    for layer in network.operations:
        kind = type(layer).__name__
        if kind == "InputLayer":
            made[id(layer.output)] = pixels
            continue
        if kind not in _LAYERS:
            known = ", ".join(_LAYERS)
            raise ValueError(f"{layer.name} is a layer {kind}; ONNX Runtime is given {known}; set engine to keras")
        given = layer.input if isinstance(layer.input, list) else [layer.input]
        out = _LAYERS[kind](graph, layer, *(made[id(tensor)] for tensor in given))
        made[id(layer.output)] = _activated(graph, layer, out)
    return made[id(network.output)]


def _convolution(graph: Graph, layer: Any, x: str) -> str:
    kernel, *bias = layer.get_weights()
    return graph.add("Conv", x, kernel.transpose(3, 2, 0, 1), *bias, **_window(layer))


def _normalisation(graph: Graph, layer: Any, x: str) -> str:
    return graph.add("BatchNormalization", x, *layer.get_weights(), epsilon=layer.epsilon)


def _pooling(graph: Graph, layer: Any, x: str) -> str:
    return graph.add("MaxPool", x, kernel_shape=layer.pool_size, **_window(layer))


def _padding(graph: Graph, layer: Any, x: str) -> str:
    (top, bottom), (left, right) = layer.padding
    return graph.add("Pad", x, np.array([0, 0, top, left, 0, 0, bottom, right]))


def _mean(graph: Graph, layer: Any, x: str) -> str:
    return graph.add("Flatten", graph.add("GlobalAveragePool", x))


def _flattened(graph: Graph, layer: Any, x: str) -> str:
    """Channels last, the order that the weights of the layer above have."""
    return graph.add("Flatten", graph.add("Transpose", x, perm=[0, 2, 3, 1]))


def _dense(graph: Graph, layer: Any, x: str) -> str:
    return graph.add("Gemm", x, *layer.get_weights())


def _sum(graph: Graph, layer: Any, *inputs: str) -> str:
    return graph.add("Add", *inputs)


def _same(graph: Graph, layer: Any, x: str) -> str:
    return x


_LAYERS: dict[str, Callable[..., str]] = {
    "Conv2D": _convolution,
    "BatchNormalization": _normalisation,
    "MaxPooling2D": _pooling,
    "ZeroPadding2D": _padding,
    "GlobalAveragePooling2D": _mean,
    "Flatten": _flattened,
    "Dense": _dense,
    "Add": _sum,
    "Activation": _same,
}


def _window(layer: Any) -> dict[str, Any]:
    return {"strides": layer.strides, "auto_pad": {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]}


def _activated(graph: Graph, layer: Any, x: str) -> str:
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if name not in ("linear", "relu"):
        raise ValueError(f"{layer.name} has the activation {name}; ONNX Runtime is given relu; set engine to keras")
    return graph.add("Relu", x) if name == "relu" else x
