"""Training of a network of named weights with Keras: the interfaces, the losses, the variables and the update step.

TensorFlow is imported only while fitting. A loss takes `xp`: NumPy or `keras.ops`. It compares what a user liked next
with C candidates, item j of which was drawn with probability p_j; dividing by p_j makes a sum over the candidates an
unbiased estimate of the sum over the whole catalog (Horvitz and Thompson 1952).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.training.config import TrainingConfig
from fusion.training.examples import Candidates, Example

Weights = Mapping[str, NDArray[Any]]
MOMENTUM = 0.9
LIKED_PER_USER = 4
"""S of `bpr`: so many of a user's targets are drawn, by their shares and with replacement."""
_OPTIMIZER = "optimizer/"


class Vectors(Protocol):
    """Makes vectors of items and users from named weights, in bounded memory."""

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        """float32 [N, D], blocks side by side."""

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D], of `users`, positions in the history's `user_ids`."""


class Network(Protocol):
    """A network that can be trained: it makes vectors of users and items from named weights; their dot product is the
    logit of a like."""

    @property
    def masks(self) -> NDArray[np.bool_]:
        """bool [N, 1 + M]: whether the item has each block, history first."""

    @property
    def compiled(self) -> bool:
        """Whether an update may run as one graph: only where no tensor has more than two gradients. A graph adds up
        three or more in the order in which they become ready (`AddN` reuses the memory of whichever input is free), so
        their sum has not the same bits every time."""

    def profiles(self, likes: History) -> dict[str, NDArray[np.float32]]:
        """The inputs of the user side by name, float32 [B, ...] each: row i is user i of the history."""

    def item_inputs(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The inputs of the item side, which are not trained, by name, for the items at `rows`. Among them `place`
        [C], the items' rows in the weights' `history`; any row for an item without one, whose mask is False."""

    def vectors(
        self,
        weights: Mapping[str, Any],
        profiles: Mapping[str, Any],
        inputs: Mapping[str, Any],
        shown: Any,
        *,
        xp: Any,
    ) -> tuple[Any, Any]:
        """Users [B, D] and items [C, D].

        Args:
            profiles, inputs: as `profiles` and `item_inputs` return them.
            shown: [C, 1 + M], 1 for the blocks that the item has and that are not hidden for this step, else 0.
        """


def softmax(logits: Any, targets: Any, log_p: Any, *, xp: Any) -> Any:
    """Softmax cross-entropy with the logQ correction (Bengio and Senécal 2008), a mean over users [].

    Args:
        logits: [B, C].
        targets: [B, C], summing to 1 a row.
        log_p: [C].
    """
    corrected = logits - log_p
    largest = xp.max(corrected, axis=1, keepdims=True)
    log_partition = xp.log(xp.sum(xp.exp(corrected - largest), axis=1)) + largest[:, 0]
    return xp.mean(log_partition - xp.sum(targets * logits, axis=1))


def bpr(logits: Any, liked: Any, shares: Any, *, xp: Any) -> Any:
    """Bayesian personalised ranking (Rendle et al. 2009, BPR-Opt without its regulariser): -ln sigmoid(x_ui - x_uj), a
    mean over users u and their S liked items i [], in expectation over items j drawn by the user's `shares`.

    Args:
        logits: [B, C].
        liked: int [B, S], columns of the candidates.
        shares: [B, C], see `negative_shares`.
    """
    # [B, S, 1] - [B, 1, C] → [B, S, C]
    margins = xp.expand_dims(xp.take_along_axis(logits, liked, axis=1), 2) - xp.expand_dims(logits, 1)
    return xp.mean(xp.sum(xp.logaddexp(-margins, 0.0) * xp.expand_dims(shares, 1), axis=2))


def negative_shares(had: Any, log_p: Any, *, xp: Any) -> Any:
    """[B, C]: 1 / p_j for items that the user has not had, normalised to sum to 1 a row (all 0 where nothing is left),
    so that popular items, which are candidates more often, are negatives no more often than others.

    Args:
        had: [B, C], above 0 where the item was liked before or is a target.
        log_p: [C].
    """
    weights = xp.where(had > 0, 0.0, xp.exp(-log_p))
    total = xp.sum(weights, axis=1, keepdims=True)
    return weights / xp.where(total > 0, total, 1.0)


class Variables:
    """Named weights as Keras variables under an optimizer.

    Args:
        initial: the weights before training.
        scope: the context in which the variables are made, as that of a `tf.distribute` strategy.
    """

    def __init__(
        self,
        initial: Weights,
        *,
        config: TrainingConfig,
        seed: int,
        scope: AbstractContextManager[Any] | None = None,
    ) -> None:
        import keras

        deterministic(seed)
        with scope or nullcontext():
            self.named = {name: keras.Variable(array) for name, array in initial.items()}
            if config.optimizer == "adam":
                self._optimizer = keras.optimizers.Adam(config.learning_rate)
            else:
                self._optimizer = keras.optimizers.SGD(config.learning_rate, momentum=MOMENTUM, nesterov=True)
            self._optimizer.build(self.all)

    @property
    def all(self) -> list[Any]:
        return list(self.named.values())

    def weights(self) -> dict[str, NDArray[Any]]:
        """A copy of the weights as they are now."""
        return {name: variable.numpy().copy() for name, variable in self.named.items()}

    def gradients(self, tape: Any, loss: Any) -> list[Any]:
        """The gradient of each of `all`, dense; 0 where the loss does not depend on it."""
        import tensorflow as tf

        found = zip(tape.gradient(loss, self.all), self.all, strict=True)
        return [tf.zeros_like(v) if g is None else tf.convert_to_tensor(g) for g, v in found]

    def apply(self, gradients: Sequence[Any]) -> None:
        """One step of the optimizer, given the gradients of `all`."""
        self._optimizer.apply(list(gradients), self.all)

    def state(self) -> dict[str, NDArray[Any]]:
        """The weights, and the optimizer's variables as `optimizer/<number>`."""
        optimizer = {f"{_OPTIMIZER}{k}": v.numpy().copy() for k, v in enumerate(self._optimizer.variables)}
        return self.weights() | optimizer

    def restore(self, state: Weights) -> None:
        """The inverse of `state`."""
        for name, variable in self.named.items():
            variable.assign(state[name])
        for k, variable in enumerate(self._optimizer.variables):
            variable.assign(state[f"{_OPTIMIZER}{k}"])


def deterministic(seed: int) -> None:
    """Seeds TensorFlow, NumPy and Python, and makes operations deterministic; products are computed in full single
    precision on GPUs too, where TensorFloat-32 would round their factors to 10 bits."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)


class RankingLearner:
    """Trains a network to rank what users liked next above other items (`fusion.training.loop.Learner`).

    Args:
        initial: the weights before training.
        likes: the history that examples are drawn from; its items are rows of `network.masks`.
    """

    def __init__(
        self, initial: Weights, network: Network, likes: History, *, config: TrainingConfig, seed: int
    ) -> None:
        import tensorflow as tf

        self._strategy = mirrored_strategy(min(config.devices, config.batch_size))
        scope = self._strategy.scope() if self._strategy else None
        self.variables = Variables(initial, config=config, seed=seed, scope=scope)
        self.history, self.n_items = likes, len(network.masks)
        self._network, self._config = network, config
        self._candidates = Candidates(likes, self.n_items, config=config)
        self._dtype = compute_dtype(config.precision, gpus=len(tf.config.list_physical_devices("GPU")))
        self._catalog_inputs: dict[str, Any] = {}
        self._apply = tf.function(self.variables.apply)
        update = self._distributed_update if self._strategy else self._update
        self._run = tf.function(update, reduce_retracing=True) if network.compiled or self._strategy else update

    def step(self, example: Example, random: np.random.Generator) -> float:
        """One update on B users and C candidate items; returns the batch's mean loss."""
        rows, log_p = self._candidates.draw(example.targets, random)
        shown = self._shown(rows, random)
        users = {"targets": example.targets[:, rows].toarray()}  # [B, N] → [B, C]
        if self._config.loss == "bpr":
            users |= _pairwise_targets(example, rows, users["targets"], log_p, random)
        profiles = self._network.profiles(example.past)
        items = {"shown": shown, "log_p": log_p}
        # arrays with a row a user are split over the devices; every device has all items
        return float(self._run(self._inputs(rows), self._per_device(profiles), self._per_device(users), tensors(items)))

    def _shown(self, rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float32]:
        """float32 [C, 1 + M]: 0 where the item lacks the block, and where dropout hides it for this step."""
        shown = self._network.masks[rows].astype(np.float32)
        shown[:, 0] *= random.random(len(rows)) >= self._config.item_dropout
        if self._config.modality_dropout:
            shown[:, 1:] *= random.random((len(rows), shown.shape[1] - 1)) >= self._config.modality_dropout
        return shown

    def _inputs(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """The item inputs as tensors; made once where every step takes the whole catalog."""
        if len(rows) < self.n_items:
            return tensors(self._network.item_inputs(rows))
        if not self._catalog_inputs:
            self._catalog_inputs = tensors(self._network.item_inputs(rows))
        return self._catalog_inputs

    def _update(
        self, inputs: Mapping[str, Any], profiles: Mapping[str, Any], users: Mapping[str, Any], items: Mapping[str, Any]
    ) -> Any:
        """One update on the tensors that `step` makes; returns the loss []."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self._loss(inputs, profiles, users, items)
        self._apply(self.variables.gradients(tape, loss))
        return loss

    def _per_device(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Tensors of arrays [B, ...]; with R devices the i-th of them has the i-th of R nearly equal parts."""
        if not self._strategy:
            return tensors(arrays)
        replicas = self._strategy.num_replicas_in_sync
        parts = {name: np.array_split(array, replicas) for name, array in arrays.items()}
        return dict(
            self._strategy.experimental_distribute_values_from_function(
                lambda context: tensors({n: p[context.replica_id_in_sync_group] for n, p in parts.items()})
            )
        )

    def _distributed_update(
        self, inputs: Mapping[str, Any], profiles: Mapping[str, Any], users: Mapping[str, Any], items: Mapping[str, Any]
    ) -> Any:
        """As `_update`, on several devices, each with its part of the users."""
        import tensorflow as tf

        def on_replica(inputs: Any, profiles: Any, users: Any, items: Any) -> Any:
            # the mean over all B users is the sum over devices of (b / B) times the mean over the device's b users;
            # Keras adds up the devices' gradients when it applies them
            weight = tf.cast(tf.shape(users["targets"])[0], "float32") / self._config.batch_size
            with tf.GradientTape() as tape:
                loss = weight * self._loss(inputs, profiles, users, items)
            self.variables.apply(self.variables.gradients(tape, loss))
            return loss

        losses = self._strategy.run(on_replica, args=(inputs, profiles, users, items))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    def _loss(
        self, inputs: Mapping[str, Any], profiles: Mapping[str, Any], users: Mapping[str, Any], items: Mapping[str, Any]
    ) -> Any:
        """The mean loss [] of the given users. Vectors and logits are computed in `_dtype`, the loss in float32."""
        from keras import ops

        def cast(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
            if self._dtype == "float32":
                return arrays
            return {n: ops.cast(a, self._dtype) if "float" in str(a.dtype) else a for n, a in arrays.items()}

        shown = cast({"shown": items["shown"]})["shown"]
        user_vectors, item_vectors = self._network.vectors(
            cast(self.variables.named), cast(profiles), cast(inputs), shown, xp=ops
        )
        logits = ops.cast(ops.matmul(user_vectors, ops.transpose(item_vectors)), "float32")
        if self._config.loss == "bpr":
            return bpr(logits, users["liked"], users["shares"], xp=ops)
        return softmax(logits, users["targets"], items["log_p"], xp=ops)


def _pairwise_targets(
    example: Example,
    rows: NDArray[np.int64],
    targets: NDArray[np.float32],
    log_p: NDArray[np.float32],
    random: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """`liked` int32 [B, S] and `shares` float32 [B, C], as in `bpr`, given the candidates' `rows` [C], ascending, and
    the `targets` [B, C]."""
    # inverse transform sampling: uniform points [B, S] on the cumulative target shares [B, C]
    ends = np.cumsum(targets, axis=1)
    points = random.random((len(targets), LIKED_PER_USER)).astype(np.float32) * ends[:, -1:]
    liked = np.stack([np.searchsorted(end, point, side="right") for end, point in zip(ends, points, strict=True)])
    # rounding can put a point at the very end, past the last target: such a draw is the last target
    last = targets.shape[1] - 1 - (targets[:, ::-1] > 0).argmax(axis=1)
    # had: the targets, and the past likes that are among the candidates (`rows` is sorted, so searchsorted finds them)
    had = targets.copy()
    column = np.minimum(np.searchsorted(rows, example.past.item), len(rows) - 1)
    is_candidate = rows[column] == example.past.item
    had[example.past.user[is_candidate], column[is_candidate]] = 1
    shares = negative_shares(had, log_p, xp=np)
    return {"liked": np.minimum(liked, last[:, None]).astype(np.int32), "shares": shares.astype(np.float32)}


def tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The arrays as tensors, under the same names."""
    import tensorflow as tf

    return {name: tf.convert_to_tensor(array) for name, array in arrays.items()}


def mirrored_strategy(devices: int) -> Any:
    """A `tf.distribute.MirroredStrategy` over so many GPUs, or CPU devices where there is no GPU; over all GPUs if 0.
    None where that is one device.

    Raises:
        ValueError: there are fewer devices.
    """
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    available = gpus or tf.config.list_logical_devices("CPU")
    wanted = devices or max(1, len(gpus))
    if wanted > len(available):
        raise ValueError(f"devices {devices}: there are {len(available)}; expected so many at most, or 0 for all GPUs")
    if wanted == 1:
        return None
    names = [device.name for device in available[:wanted]]
    reduction = None if gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction)


def compute_dtype(precision: str, *, gpus: int) -> str:
    """The dtype of products: bfloat16 (Kalamkar et al. 2019; its range needs no loss scaling) where there is a GPU and
    the precision is "auto", else float32. Weights and losses are float32 either way."""
    return "bfloat16" if precision == "auto" and gpus else "float32"
