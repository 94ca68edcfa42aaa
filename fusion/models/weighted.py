"""Feature-level fusion: an item is its history factors beside its projected modalities, as they are or weighted."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import PositiveFloat, PositiveInt, validate_call

from fusion.data.catalog import Catalog
from fusion.models.base import FitContext, Space
from fusion.models.trained import NETWORK, Trained
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.layers import HideBlocks, masked_softmax
from fusion.training.ranker import Ranker
from schemas.table import MODALITIES, Modality

NOISE = 0.003
GAIN = 200.0
"""Factor from the history factors of a user's profile to the user's initial vector."""


@keras.saving.register_keras_serializable("nightweave")
class ModalityWeights(layers.Layer):
    """The weight w of each of an item's M modalities: 1 on average where nothing is given, so that a weighted item
    starts as large as a concatenated one, and exactly 0 where the item lacks the modality.

    - `fixed`: as given.
    - `learned`: w_m = M softmax(a)_m with a trained scalar a_m for each modality.
    - `gated`: w_m = K softmax(G h + c)_m over the K modalities that the item has, h = tanh(H [x; mask] + b): the gate
      of a gated multimodal unit (Arevalo et al. 2017, "Gated Multimodal Units for Information Fusion", section 3.1),
      with a softmax over any number of modalities in place of its sigmoid between two, and the mask beside them.

    Args:
        kind: one of these.
        given: w of each modality if fixed.
        inputs: columns of all modalities together.
        units: of h.
    """

    def __init__(self, kind: str, *, given: list[float], inputs: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.given, self.inputs, self.units = kind, list(given), inputs, units
        if kind == "learned":
            self.logits = self.add_weight(shape=(1, len(given)), initializer="zeros", name="logits")
        if kind == "gated":
            hidden = keras.initializers.RandomNormal(stddev=(inputs + len(given)) ** -0.5)
            self.hidden = layers.Dense(units, "tanh", kernel_initializer=hidden, dtype=self.dtype_policy)
            self.gate = layers.Dense(len(given), kernel_initializer="zeros", dtype=self.dtype_policy)

    def call(self, content: list[Any], shown: Any) -> Any:
        """[n, M]

        Args:
            content: [n, p_m] a modality, 0 where the item lacks it.
            shown: [n, M], 1 where the item has it and it is not hidden, else 0.
        """
        if self.kind == "fixed":
            return shown * ops.array(self.given, shown.dtype)
        if self.kind == "learned":
            return shown * masked_softmax(ops.cast(self.logits, shown.dtype), ops.ones_like(shown)) * len(self.given)
        # content that is hidden for this step must not reach the gates either
        seen = [x * shown[:, place : place + 1] for place, x in enumerate(content)]
        logits = self.gate(self.hidden(ops.concatenate([*seen, shown], axis=1)))
        return masked_softmax(logits, shown) * ops.sum(shown, axis=1, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        own = {"kind": self.kind, "given": self.given, "inputs": self.inputs, "units": self.units}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("nightweave")
class LinearRanker(Ranker):
    """Items [q, b ; w_m W_m x_m for each modality m], and users that are linear in their profile.

    Args:
        history: columns of q and b together.
        width: most columns of W_m x_m.
        weights: the arguments of `ModalityWeights` but for `inputs`.
        known, content, steps, profile, hidden: see `Ranker`.
    """

    def __init__(
        self,
        *,
        known: int,
        content: Mapping[str, int],
        steps: Mapping[str, int],
        profile: int,
        hidden: list[float],
        history: int,
        width: int,
        weights: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
        policy, widths = self.dtype_policy, [min(columns, width) for columns in content.values()]
        self.embedding = layers.Embedding(known + 1, history, dtype=policy)  # row 0 for all that are not known
        self.content = [
            layers.Dense(columns, use_bias=False, name=m, dtype=policy)
            for m, columns in zip(content, widths, strict=True)
        ]
        gate = {"inputs": sum(content.values()), "dtype": policy, **weights}
        self.weights_of: Any = ModalityWeights(**gate) if content else None
        self.user = layers.Dense(history + sum(widths), dtype=policy)
        self.hide = HideBlocks(hidden, dtype=policy)
        # [M, C]: repeats a factor of each modality for each of its columns, as one product with one gradient
        self.repeat = np.repeat(np.eye(len(widths), dtype=np.float32), widths, axis=1)
        self.make_weights()

    def users(self, profiles: Any) -> Any:
        return self.user(profiles)

    def items(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        shown = self.hide(inputs["shown"], training=training)
        history = self.embedding(inputs["known"]) * shown[:, :1]
        if self.weights_of is None:
            return history
        factors = self.weights_of([inputs[layer.name] for layer in self.content], shown[:, 1:])
        content = ops.concatenate([layer(inputs[layer.name]) for layer in self.content], axis=1)
        return ops.concatenate([history, content * ops.matmul(factors, ops.cast(self.repeat, factors.dtype))], axis=1)


class Concatenation(Trained):
    """score(u, i) = u · F_i with F_i = [q_i, b_i ; W_m x_i for each modality m] and u linear in the user's profile.

    q starts from a linear autoencoder's factors, b from the log popularity, W from a whitening, and u such that items
    are ranked by those factors, by popularity and by similarity of content; everything is then trained together on what
    users liked next. In training, q and b of random items are hidden, so that the content columns learn to score items
    that nobody has liked yet.

    Args:
        rank: history factors.
        dims: columns that a modality's vectors are projected onto before learning.
        width: columns that a modality has in the item's vector, at most.
        content_gain: weight of the similarity of content before training.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        training: see `fusion.training.config.TrainingConfig`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "concatenation"
    space: ClassVar[Space] = {
        "rank": IntDistribution(32, 128, log=True),
        "width": IntDistribution(16, 64, log=True),
        "content_gain": FloatDistribution(0.5, 10.0, log=True),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
        "item_dropout": FloatDistribution(0.0, 0.3),
    }

    @validate_call
    def __init__(
        self,
        *,
        rank: PositiveInt = 64,
        dims: PositiveInt = 128,
        width: PositiveInt = 32,
        content_gain: float = 3.0,
        ridge: PositiveFloat = 800.0,
        decay: PositiveFloat = 10.0,
        **training: Any,
    ) -> None:
        super().__init__(locals())
        self.rank, self.dims, self.width, self.content_gain = rank, dims, width, content_gain
        self.ridge, self.decay = ridge, decay

    @property
    def _widths(self) -> dict[str, int]:
        settings = self._network.settings
        widths: dict[str, int] = {"history": settings["history"] - 1, "popularity": 1}
        return widths | {m: min(settings["content"].get(m, 0), settings["width"]) for m in MODALITIES}

    @property
    def _weighting(self) -> dict[str, Any]:
        """The arguments of `ModalityWeights`."""
        return {"kind": "fixed", "given": [1.0] * len(self._modalities), "units": 0}

    def _made(self, context: FitContext, arrays: Mapping[str, NDArray[Any]], *, dtype: str) -> LinearRanker:
        network = self._unfitted(arrays, dtype=dtype)
        history = np.hstack([self._learnt["factors"], self._popularity(context)])
        network.embedding.set_weights([np.pad(history, ((1, 0), (0, 0)))])
        for layer in network.content:
            layer.set_weights([self._projections[layer.name].whitening(self.width) / np.sqrt(self.width)])
        network.user.set_weights(self._user_weights([layer.get_weights()[0] for layer in network.content], context))
        return network

    def load_network(self, folder: Path) -> None:
        """Reads also what versions wrote whose networks were no Keras models: their weights are among the arrays."""
        if (folder / NETWORK).is_file():
            return super().load_network(folder)
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            old = {name.removeprefix("weights/"): arrays[name] for name in arrays.files if name.startswith("weights/")}
        self._network = network = self._unfitted({})
        network.embedding.set_weights([np.pad(old["history"], ((1, 0), (0, 0)))])
        for layer in network.content:
            layer.set_weights([old[f"item/{layer.name}"]])
        network.user.set_weights([old["user"], old["user_bias"]])
        there = [name.removeprefix("item/") for name in old if name.startswith("item/")]
        learnt = np.isin(there, self._modalities)  # of the others the fit saw no vector, and their masks are 0
        weights_of: Any = network.weights_of
        if "weighting/logits" in old:
            weights_of.set_weights([old["weighting/logits"][None, learnt]])
        if "weighting/hidden" in old:
            hidden = old["weighting/hidden"]
            rows = np.concatenate(
                [np.arange(len(hidden) - len(learnt)), len(hidden) - len(learnt) + np.flatnonzero(learnt)]
            )
            weights_of.hidden.set_weights([hidden[rows], old["weighting/hidden_bias"]])
            weights_of.gate.set_weights([old["weighting/gate"][:, learnt], old["weighting/gate_bias"][learnt]])
        return None

    def _unfitted(self, arrays: Mapping[str, NDArray[Any]], *, dtype: str = "float32") -> LinearRanker:
        history = self._learnt["factors"].shape[1] + 1
        shape = self._shape(arrays)
        return LinearRanker(history=history, width=self.width, weights=self._weighting, dtype=dtype, **shape)

    def _user_weights(self, content: list[NDArray[np.float32]], context: FitContext) -> list[NDArray[np.float64]]:
        """The initial kernel [P, D] and bias [D] from a profile to a user's vector: the recent mean of the factors to
        the columns of q, and the mean of each modality, by its own W, to the columns of W x, so that u · F has the dot
        product of whitened contents. All other entries are noise; every user has 1 in the column of b.

        Args:
            content: W of each modality, [p, c].
        """
        rank = self._learnt["factors"].shape[1]
        inputs = rank + sum(len(part) for part in content)
        columns = rank + 1 + sum(part.shape[1] for part in content)
        kernel = np.random.default_rng(context.seed).normal(0, NOISE, (2 * inputs, columns))
        kernel[inputs + np.arange(rank), np.arange(rank)] += GAIN
        row, column = rank, rank + 1
        for part in content:
            kernel[row : row + part.shape[0], column : column + part.shape[1]] += self.content_gain * part
            row, column = row + part.shape[0], column + part.shape[1]
        return [kernel, np.eye(columns)[rank]]


class Weighted(Concatenation):
    """score(u, i) = u · F_i with F_i = [q_i, b_i ; w_m W_m x_i for each modality m]; all but the factors w is as in
    `Concatenation`.

    Args:
        weighting: the source of w: `fixed`, `learned` (one scalar a modality) or `gated` (a small network over the
            item's modalities). See `ModalityWeights`.
        weights: modality → w, if fixed; 1 for a modality that is left out.
        gate_units: of the gate's hidden layer.
        concatenation: the arguments of `Concatenation`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "weighted"
    space: ClassVar[Space] = {
        **Concatenation.space,
        "weighting": CategoricalDistribution(("learned", "gated")),
    }
    defaults = TrainingConfig(loss="bpr", untuned_epochs=16)

    @validate_call
    def __init__(
        self,
        *,
        weighting: Literal["fixed", "learned", "gated"] = "gated",
        weights: Mapping[Modality, float] | None = None,
        gate_units: PositiveInt = 16,
        **concatenation: Any,
    ) -> None:
        super().__init__(**concatenation)
        given = dict(weights or {})
        if given and weighting != "fixed":
            raise ValueError(f"weights {given}: only a fixed weighting takes them, and this one is {weighting}")
        if not all(np.isfinite(w) and w >= 0 for w in given.values()):
            raise ValueError(f"weights {given}: expected numbers, each 0 or more")
        self._arguments |= {"weighting": weighting, "weights": given, "gate_units": gate_units}

    def weights(self, catalog: Catalog) -> dict[str, NDArray[np.float32]]:
        """Modality → float32 [N]: its weight in each item; 0 where the item lacks it."""
        arrays = self._inputs(catalog)
        found: dict[str, NDArray[np.float32]] = {m: np.zeros(len(catalog), np.float32) for m in MODALITIES}
        if self._modalities:
            content = [ops.convert_to_tensor(arrays[m]) for m in self._modalities]
            factors = self._network.weights_of(content, ops.convert_to_tensor(arrays["shown"][:, 1:]))
            found |= dict(zip(self._modalities, ops.convert_to_numpy(factors).T, strict=True))
        return found

    @property
    def _weighting(self) -> dict[str, Any]:
        given, units = self._arguments["weights"], self._arguments["gate_units"]
        weights = [float(given.get(m, 1.0)) for m in self._modalities]
        return {"kind": self._arguments["weighting"], "given": weights, "units": units}

    def _extended(self, context: FitContext, log: FitLog) -> FitLog:
        """Adds the mean weight of each modality."""
        factors, masks = self.weights(context.catalog), self.masks(context.catalog)
        return replace(log, weights={m: float(factors[m][masks[m]].mean()) for m in MODALITIES if masks[m].any()})
