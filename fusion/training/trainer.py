"""Named weights trained by Keras to rank: what a network has to offer, the losses, the variables, and a step.

TensorFlow is imported only while fitting. A loss takes `xp`, which is NumPy or `keras.ops`; it compares what a user
liked next with C candidates, item j of which was drawn with probability p_j: dividing by p_j keeps its sums those over
the
    whole
catalog (Horvitz and Thompson 1952).
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
LIKED = 4
"""Of a user's targets so many are drawn, by their shares and with replacement, to be paired with what was not liked."""
_OPTIMIZER = "optimizer/"


class Vectors(Protocol):
    """What named weights make of a catalog's items, and of users by what they like; in bounded memory."""

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        """float32 [N, D], blocks side by side."""

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D], of `users`, places in the history's `user_ids`."""


class Network(Protocol):
    """What can be trained: how named weights make vectors of users and items whose dot product is the logit of a
    like."""

    @property
    def masks(self) -> NDArray[np.bool_]:
        """bool [N, 1 + M], whether each block speaks for the item, history first."""

    @property
    def compiled(self) -> bool:
        """Whether an update may run as one graph. It may where no tensor has more than two gradients: a graph adds up
        three or more in the order in which they happen to be ready (`AddN` takes over whichever input's memory is
        free), and so not to the same bits every time."""

    def profiles(self, likes: History) -> dict[str, NDArray[np.float32]]:
        """What the users are known by, by name; float32 [B, ...] each."""

    def given(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """What is known of the items at `rows` and not learnt, by name. `place` are their rows in the weights'
        `history`, any one for an item that has none."""

    def vectors(
        self,
        weights: Mapping[str, Any],
        profiles: Mapping[str, Any],
        given: Mapping[str, Any],
        shown: Any,
        *,
        xp: Any,
    ) -> tuple[Any, Any]:
        """Users [B, D] and items [C, D].

        Args:
            profiles, given: as the functions of these names made them.
            shown: [C, 1 + M], 1 or 0: whether each block plays.
        """


def softmax(logits: Any, targets: Any, log_p: Any, *, xp: Any) -> Any:
    """Softmax cross-entropy with the logQ correction (Bengio and Senécal 2008), a mean over users [].

    Args:
        logits: [B, C].
        targets: [B, C], summing to 1 a row.
        log_p: [C].
    """
    corrected = logits - log_p
    top = xp.max(corrected, axis=1, keepdims=True)
    partition = xp.log(xp.sum(xp.exp(corrected - top), axis=1)) + top[:, 0]
    return xp.mean(partition - xp.sum(targets * logits, axis=1))


def bpr(logits: Any, liked: Any, shares: Any, *, xp: Any) -> Any:
    """Bayesian personalised ranking (Rendle et al. 2009, BPR-Opt without its regulariser): -ln sigmoid(x_ui - x_uj), a
    mean over users u and their S liked items i [], in expectation over items j drawn by the user's `shares`.

    Args:
        logits: [B, C].
        liked: int [B, S], places among the candidates.
        shares: [B, C], see `negative_shares`.
    """
    margins = xp.expand_dims(xp.take_along_axis(logits, liked, axis=1), 2) - xp.expand_dims(logits, 1)
    return xp.mean(xp.sum(xp.logaddexp(-margins, 0.0) * xp.expand_dims(shares, 1), axis=2))


def negative_shares(had: Any, log_p: Any, *, xp: Any) -> Any:
    """[B, C]: 1 / p_j for items that the user has not had, made to sum to 1 a row (all 0 where nothing is left), so
    that popular items, which are candidates more often, are negatives no more often than others.

    Args:
        had: [B, C], above 0 where the item was liked before or is a target.
        log_p: [C].
    """
    weights = xp.where(had > 0, 0.0, xp.exp(-log_p))
    total = xp.sum(weights, axis=1, keepdims=True)
    return weights / xp.where(total > 0, total, 1.0)


class Variables:
    """Named weights as Keras variables under an optimiser.

    Args:
        scope: what the variables are made in, as that of a `tf.distribute` strategy.
    """

    def __init__(
        self,
        start: Weights,
        *,
        config: TrainingConfig,
        seed: int,
        scope: AbstractContextManager[Any] | None = None,
    ) -> None:
        import keras

        deterministic(seed)
        with scope or nullcontext():
            self.named = {name: keras.Variable(array) for name, array in start.items()}
            if config.optimizer == "adam":
                self._optimizer = keras.optimizers.Adam(config.learning_rate)
            else:
                self._optimizer = keras.optimizers.SGD(config.learning_rate, momentum=MOMENTUM, nesterov=True)
            self._optimizer.build(self.all)

    @property
    def all(self) -> list[Any]:
        return list(self.named.values())

    def weights(self) -> dict[str, NDArray[Any]]:
        return {name: variable.numpy().copy() for name, variable in self.named.items()}

    def gradients(self, tape: Any, loss: Any) -> list[Any]:
        """The gradient of each of `all`, dense; 0 where the loss does not depend on it."""
        import tensorflow as tf

        found = zip(tape.gradient(loss, self.all), self.all, strict=True)
        return [tf.zeros_like(v) if g is None else tf.convert_to_tensor(g) for g, v in found]

    def apply(self, gradients: Sequence[Any]) -> None:
        """One step along what `gradients` gave."""
        self._optimizer.apply(list(gradients), self.all)

    def state(self) -> dict[str, NDArray[Any]]:
        """The weights, and under names of their own what the optimiser remembers."""
        remembered = {f"{_OPTIMIZER}{k}": v.numpy().copy() for k, v in enumerate(self._optimizer.variables)}
        return self.weights() | remembered

    def restore(self, state: Weights) -> None:
        """The inverse of `state`."""
        for name, variable in self.named.items():
            variable.assign(state[name])
        for k, variable in enumerate(self._optimizer.variables):
            variable.assign(state[f"{_OPTIMIZER}{k}"])


def deterministic(seed: int) -> None:
    """Seeds TensorFlow, NumPy and Python; operations without chance; products in full single precision on GPUs too,
    which would round their factors to 10 bits (TensorFloat-32)."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)


class Ranking:
    """Teaches a network to rank what users liked next above other items (`fusion.training.loop.Learner`)."""

    def __init__(self, start: Weights, network: Network, likes: History, *, config: TrainingConfig, seed: int) -> None:
        import tensorflow as tf

        self._mirrored = mirrored(min(config.devices, config.batch_size))
        scope = self._mirrored.scope() if self._mirrored else None
        self.variables = Variables(start, config=config, seed=seed, scope=scope)
        self.history, self.n_items = likes, len(network.masks)
        self._network, self._config = network, config
        self._candidates = Candidates(likes, self.n_items, config=config)
        self._dtype = compute_dtype(config.precision, gpus=len(tf.config.list_physical_devices("GPU")))
        self._whole: dict[str, Any] = {}
        self._apply = tf.function(self.variables.apply)
        update = self._spread_update if self._mirrored else self._update
        self._run = tf.function(update, reduce_retracing=True) if network.compiled or self._mirrored else update

    def step(self, example: Example, random: np.random.Generator) -> float:
        """One update; returns the batch's mean loss."""
        rows, log_p = self._candidates.draw(example.targets, random)
        shown = self._shown(rows, random)
        users = {"targets": example.targets[:, rows].toarray()}
        if self._config.loss == "bpr":
            users |= _pairs(example, rows, users["targets"], log_p, random)
        profiles = self._network.profiles(example.past)
        items = {"shown": shown, "log_p": log_p}
        return float(self._run(self._given(rows), self._parted(profiles), self._parted(users), tensors(items)))

    def _shown(self, rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float32]:
        """float32 [C, 1 + M]: 0 where the item lacks the block, and where it is hidden for this step."""
        shown = self._network.masks[rows].astype(np.float32)
        shown[:, 0] *= random.random(len(rows)) >= self._config.item_dropout
        if self._config.modality_dropout:
            shown[:, 1:] *= random.random((len(rows), shown.shape[1] - 1)) >= self._config.modality_dropout
        return shown

    def _given(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """Tensors; those of a catalog that every step ranks whole are made once."""
        if len(rows) < self.n_items:
            return tensors(self._network.given(rows))
        if not self._whole:
            self._whole = tensors(self._network.given(rows))
        return self._whole

    def _update(
        self, given: Mapping[str, Any], profiles: Mapping[str, Any], users: Mapping[str, Any], items: Mapping[str, Any]
    ) -> Any:
        """What `step` makes → loss []."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self._loss(given, profiles, users, items)
        self._apply(self.variables.gradients(tape, loss))
        return loss

    def _parted(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Tensors of arrays [B, ...]; with several devices every one has its share of the rows."""
        if not self._mirrored:
            return tensors(arrays)
        replicas = self._mirrored.num_replicas_in_sync
        parts = {name: np.array_split(array, replicas) for name, array in arrays.items()}
        return dict(
            self._mirrored.experimental_distribute_values_from_function(
                lambda context: tensors({n: p[context.replica_id_in_sync_group] for n, p in parts.items()})
            )
        )

    def _spread_update(
        self, given: Mapping[str, Any], profiles: Mapping[str, Any], users: Mapping[str, Any], items: Mapping[str, Any]
    ) -> Any:
        """As `_update`, every device with its share of the users: gradients of a mean over users are the sum of those
        of the shares, each weighing its number of users. Keras sums them over the devices when it applies them."""
        import tensorflow as tf

        def on_one(given: Any, profiles: Any, users: Any, items: Any) -> Any:
            weight = tf.cast(tf.shape(users["targets"])[0], "float32") / self._config.batch_size
            with tf.GradientTape() as tape:
                loss = weight * self._loss(given, profiles, users, items)
            self.variables.apply(self.variables.gradients(tape, loss))
            return loss

        found = self._mirrored.run(on_one, args=(given, profiles, users, items))
        return self._mirrored.reduce(tf.distribute.ReduceOp.SUM, found, axis=None)

    def _loss(
        self, given: Mapping[str, Any], profiles: Mapping[str, Any], users: Mapping[str, Any], items: Mapping[str, Any]
    ) -> Any:
        from keras import ops

        def cast(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
            if self._dtype == "float32":
                return arrays
            return {n: ops.cast(a, self._dtype) if "float" in str(a.dtype) else a for n, a in arrays.items()}

        shown = cast({"shown": items["shown"]})["shown"]
        made = self._network.vectors(cast(self.variables.named), cast(profiles), cast(given), shown, xp=ops)
        logits = ops.cast(ops.matmul(made[0], ops.transpose(made[1])), "float32")
        if self._config.loss == "bpr":
            return bpr(logits, users["liked"], users["shares"], xp=ops)
        return softmax(logits, users["targets"], items["log_p"], xp=ops)


def _pairs(
    example: Example,
    rows: NDArray[np.int64],
    targets: NDArray[np.float32],
    log_p: NDArray[np.float32],
    random: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """`liked` int32 [B, S] and `shares` float32 [B, C], as in `bpr`."""
    ends = np.cumsum(targets, axis=1)
    drawn = random.random((len(targets), LIKED)).astype(np.float32) * ends[:, -1:]
    liked = np.stack([np.searchsorted(end, point, side="right") for end, point in zip(ends, drawn, strict=True)])
    last = targets.shape[1] - 1 - (targets[:, ::-1] > 0).argmax(axis=1)  # where rounding ran past the end
    had = targets.copy()
    column = np.minimum(np.searchsorted(rows, example.past.item), len(rows) - 1)
    among = rows[column] == example.past.item
    had[example.past.user[among], column[among]] = 1
    shares = negative_shares(had, log_p, xp=np)
    return {"liked": np.minimum(liked, last[:, None]).astype(np.int32), "shares": shares.astype(np.float32)}


def tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The same names, with tensors."""
    import tensorflow as tf

    return {name: tf.convert_to_tensor(array) for name, array in arrays.items()}


def mirrored(devices: int) -> Any:
    """A `tf.distribute.MirroredStrategy` over so many GPUs, or CPU devices where there is no GPU; over all GPUs if 0.
    None where that is one device.

    Raises:
        ValueError: there are not so many.
    """
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    there = gpus or tf.config.list_logical_devices("CPU")
    wanted = devices or max(1, len(gpus))
    if wanted > len(there):
        raise ValueError(f"devices {devices}: there are {len(there)}; expected so many at most, or 0 for all GPUs")
    if wanted == 1:
        return None
    names = [device.name for device in there[:wanted]]
    together = None if gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, cross_device_ops=together)


def compute_dtype(precision: str, *, gpus: int) -> str:
    """What products are computed in: bfloat16 (Kalamkar et al. 2019; its range needs no loss scaling) where there is a
    GPU and the precision is "auto", else float32. Weights and losses are float32 either way."""
    return "bfloat16" if precision == "auto" and gpus else "float32"
