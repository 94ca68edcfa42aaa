"""The base class of Keras models with two towers, whose vectors of users and items have the score as dot product."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from fusion.training.losses import LIKED_PER_USER

STEPS = "/steps"
"""Ends the name of an array of sequences, float32 [K, T, w]; under the name with `PLACE` stands each item's row."""
PLACE = "/place"
LAST = "/last"
"""Ends the name of the array [N, T] that is 1 at the last step of an item's sequence."""


class ItemTable:
    """The inputs of an item tower over a catalog of N items, as tensors.

    Args:
        arrays: by name, with a row an item each; and `NAME/steps` with K rows, to which `NAME/place` [N] points.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._columns = {n: ops.convert_to_tensor(a) for n, a in arrays.items() if not n.endswith(STEPS)}
        self._steps = {n: ops.convert_to_tensor(a) for n, a in arrays.items() if n.endswith(STEPS)}

    def __call__(self, rows: Any) -> dict[str, Any]:
        """Name → [n, ...]: the inputs of the items at `rows`, int [n]."""
        found = {name: ops.take(column, rows, axis=0) for name, column in self._columns.items()}
        for name, steps in self._steps.items():
            found[name] = ops.take(steps, found.pop(name.removesuffix(STEPS) + PLACE), axis=0)
        return found


class Ranker(keras.Model):
    """A model that ranks items for users. A subclass is a Keras model of two towers, `users` and `items`; its
    constructor begins with `super().__init__(locals())` and ends with `self.make_weights()`.

    No tensor that has a gradient is used more than twice on the way to the loss: TensorFlow adds up three or more
    gradients of one tensor in the order in which they become ready, and two fits would differ in their last bits.

    Attributes:
        table: the items that it is fitted on. Set it before `fit`.
        settings: the constructor's arguments. Those of every model are: `known`, the number of known items; `content`,
            modality → the columns of its vectors; `steps`, modality with sequences → the columns of a step; `profile`,
            the columns of a user's profile; and `hidden`, the rates of `fusion.training.layers.HideBlocks`.
    """

    table: ItemTable
    settings: dict[str, Any]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(**arguments["kwargs"])
        self.settings = {k: v for k, v in arguments.items() if k not in ("self", "__class__", "kwargs")}

    def make_weights(self) -> None:
        """Makes the weights of all layers, by one item and one user of zeros."""
        content, steps = self.settings["content"], self.settings["steps"]
        item: dict[str, Any] = {"known": np.zeros(1, np.int32), "shown": np.zeros((1, 1 + len(content)), np.float32)}
        item |= {modality: np.zeros((1, columns), np.float32) for modality, columns in content.items()}
        for modality, columns in steps.items():
            item |= {modality + STEPS: np.zeros((1, 1, columns), np.float32), modality + LAST: np.zeros((1, 1))}
        self.items({name: ops.convert_to_tensor(array) for name, array in item.items()})
        self.users(ops.zeros((1, self.settings["profile"])))
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}

    def users(self, profiles: Any) -> Any:
        """[B, D], given what is known of them [B, P]."""
        raise NotImplementedError

    def items(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """[n, D], given the rows of an `ItemTable`."""
        raise NotImplementedError

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """The scores [B, S + C] of the liked items and the candidates of a batch of
        `fusion.training.examples.LikesDataset`."""
        # under a distribution strategy Keras first calls a model with symbols, which are all of float32
        liked = ops.cast(ops.reshape(inputs["liked"], (-1,)), "int32")
        rows = ops.concatenate([liked, ops.cast(inputs["candidates"][0], "int32")])
        items, first = self.items(self.table(rows), training=training), ops.shape(liked)[0]
        return scores(self.users(inputs["profile"]), items[:first], items[first:])

    def item_vectors(self, table: ItemTable, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [n, D], of the items at `rows` of a table."""
        return np.asarray(ops.convert_to_numpy(self.items(table(rows))), np.float32)

    def user_vectors(self, profiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [B, D], given profiles float32 [B, P]."""
        return np.asarray(ops.convert_to_numpy(self.users(ops.convert_to_tensor(profiles))), np.float32)


def scores(users: Any, liked: Any, candidates: Any) -> Any:
    """[B, S + C]: dot products of users [B, D] with S liked items each, [B S, D], and with candidates [C, D]."""
    own = ops.einsum("bd,bsd->bs", users, ops.reshape(liked, (-1, LIKED_PER_USER, users.shape[1])))
    return ops.concatenate([own, ops.matmul(users, ops.transpose(candidates))], axis=1)
