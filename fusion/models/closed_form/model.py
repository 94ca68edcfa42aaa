"""Decision-level fusion of three closed-form linear models: item transitions, recent popularity and content ridge."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution

from fusion.data.catalog import Catalog, History, like_matrix, positions, rows_at
from fusion.data.history_features import principal_axes
from fusion.models.base import FitContext, Space, Strategy, Validation, block_slices
from fusion.models.closed_form import hyperparameters
from fusion.models.closed_form.content_ridge import ContentRidge
from fusion.models.closed_form.scorers import BINS, RecentPopularity, Scorers
from fusion.models.ridge import covariance
from fusion.models.stack.item_transitions import ItemTransitions
from fusion.models.stack.kernel_features import KernelFeatures
from fusion.training.config import FitLog
from schemas.table import MODALITIES, Modality

DEGREES = {"text": 3, "image": 1, "audio": 1, "video": 1}
"""Degree of each modality's kernel."""
Choices = Mapping[str, float]


class ClosedForm(Strategy):
    """score(u, i) = transition(u, i) + w_trend trend(u, i) + w_content content(u, i), each of the three brought to unit
    variance over the catalog for every user, so that the weights mean the same for all.

    - transition: what users like after what this user liked last (`fusion.models.stack.item_transitions`);
    - trend: what is liked around the user's moment (`fusion.models.closed_form.scorers`), with a weight of at
      least 1 for a user without a like;
    - content: a ridge regression of the user's likes on kernel features of all modalities side by side
      (`fusion.models.closed_form.content_ridge`, `fusion.models.stack.kernel_features`), the only one of the
      three that scores new items.

    Nothing is trained by gradients; a fit takes seconds. Ridges, the modalities' gains and the weights are chosen from
    data: those of content by hiding items, the others by validation likes
    (`fusion.models.closed_form.hyperparameters`).

    Args:
        rank: number of principal axes of the history that describe a user's past.
        decay: likes after which a like weighs 1/e, in a user's past and in the recent part of content.
        horizon: likes ahead after which a like weighs 1/e in a moment's future.
        smoothing: see `fusion.models.closed_form.content_ridge.ContentRidge`.
        dims, text_dims: features that a modality, and the text, has at most.
        terms_gain: weight of shared terms beside the vectors in the text's kernel.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "closed_form"
    space: ClassVar[Space] = {
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "horizon": FloatDistribution(1.0, 20.0, log=True),
        "smoothing": FloatDistribution(0.0, 4.0),
        "terms_gain": FloatDistribution(0.0, 2.0),
    }

    def __init__(
        self,
        *,
        rank: int = 512,
        decay: float = 10.0,
        horizon: float = 3.0,
        smoothing: float = 2.0,
        dims: int = 128,
        text_dims: int = 512,
        terms_gain: float = 0.5,
    ) -> None:
        self._parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        for name in ("rank", "decay", "horizon", "dims", "text_dims"):
            if not self._parameters[name] > 0:
                raise ValueError(f"{name} {self._parameters[name]}: expected more than 0")
        for name in ("smoothing", "terms_gain"):
            if self._parameters[name] < 0:
                raise ValueError(f"{name} {self._parameters[name]}: expected 0 or more")
        self.rank, self.decay, self.horizon, self.smoothing = rank, decay, horizon, smoothing
        self.dims = {m: text_dims if m == "text" else dims for m in MODALITIES}
        self.terms_gain = terms_gain

    def parameters(self) -> dict[str, Any]:
        return dict(self._parameters)

    def _fit(self, context: FitContext) -> FitLog:
        started = time.monotonic()
        catalog, train, validation, seed = context.catalog, context.train, context.validation, context.seed
        self._kernels = {m: self._kernel(catalog, m, seed=seed) for m in MODALITIES}
        likes = train.likes()
        matrix = like_matrix(likes, len(catalog))
        features = self._features(catalog)
        axes, values = principal_axes(matrix, rank=self.rank, seed=seed)
        transitions = ItemTransitions(likes, axes, decay=self.decay, horizon=self.horizon, seed=seed)
        content = ContentRidge.fit(features, matrix, axes, values, smoothing=self.smoothing)
        popularity = RecentPopularity.fit(likes, n_items=len(catalog))
        known = np.bincount(likes.item, minlength=len(catalog)) > 0
        weight = np.bincount(likes.item, weights=likes.weight, minlength=len(catalog))

        def scorers(choices: Choices) -> Scorers:
            following = transitions.solve(choices["transition_ridge"])
            return Scorers(
                item_ids=catalog.item_ids[known],
                axes=axes[known].astype(np.float32),
                following=following[known],
                following_spread=covariance(following),
                trend=popularity.counts[known],
                clock=np.array([popularity.start, popularity.width], np.float64),
                trend_spread=covariance(popularity.counts),
                sources=content.sources[known],
                kernel=content.kernel(
                    hyperparameters.column_gains(choices, self._widths), ridge=choices["taste_ridge"]
                ),
                content_spread=covariance(features),
                crowd=(weight @ content.sources / max(weight.sum(), 1e-9)).astype(np.float32),
            )

        self._choices, reached = dict(hyperparameters.DEFAULTS), float("nan")
        if context.tuned is not None:
            self._choices |= context.tuned.choices
        elif validation is not None and len(validation.valid.likes()):
            self._choices |= hyperparameters.choose_content_ridge(
                features, matrix, widths=self._widths, smoothing=self.smoothing, seed=seed
            )
            if context.holdout:
                weights, reached = self._choose_weights(catalog, train, context.holdout, scorers)
                self._choices |= weights
        self._scorers = scorers(self._choices)
        return FitLog(
            seconds=time.monotonic() - started,
            valid_ndcg=[] if np.isnan(reached) else [reached],
            choices=dict(self._choices),
        )

    @property
    def blocks(self) -> dict[str, slice]:
        """History's columns are those of the transitions, then those of the trend."""
        return block_slices({"history": self._scorers.following.shape[1] + BINS, **self._widths})

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        """`blocks` without the trend, which is no sign of likeness."""
        return {**self.blocks, "history": slice(0, self._scorers.following.shape[1])}

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        masks = {"history": positions(self._scorers.item_ids, catalog.item_ids) >= 0}
        return masks | {m: catalog.masks[m] & (kernel.dims > 0) for m, kernel in self._kernels.items()}

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        place = positions(self._scorers.item_ids, catalog.item_ids)
        history = [rows_at(table, place) for table in (self._scorers.following, self._scorers.trend)]
        return np.hstack([*history, self._features(catalog)])

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        all_users = np.arange(len(history.user_ids))
        own = bool(self._choices["own_moment"])
        past, moment, content, liked = self._user_parts(self._scorers, catalog, history, all_users, own_moment=own)
        weight = np.float32(self._choices["content"])
        return np.hstack([past, _trend_weight(self._choices, liked) * moment, weight * content])

    def state(self) -> dict[str, NDArray[Any]]:
        arrays = {f"{m}/{name}": array for m, kernel in self._kernels.items() for name, array in kernel.state().items()}
        names = sorted(self._choices)
        arrays["choices"] = np.array([self._choices[name] for name in names], np.float64)
        return arrays | {"choice_names": np.array(names, np.str_)} | self._scorers.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._kernels = {
            m: KernelFeatures.from_state(
                {name.removeprefix(f"{m}/"): array for name, array in state.items() if name.startswith(f"{m}/")}
            )
            for m in MODALITIES
        }
        self._choices = dict(zip(state["choice_names"].tolist(), state["choices"].tolist(), strict=True))
        self._scorers = Scorers.from_state(state)

    @property
    def _widths(self) -> dict[str, int]:
        return {m: kernel.dims for m, kernel in self._kernels.items()}

    def _kernel(self, catalog: Catalog, modality: Modality, *, seed: int) -> KernelFeatures:
        mask = catalog.masks[modality]
        terms = catalog.terms[mask] if modality == "text" and catalog.terms is not None else None
        return KernelFeatures.fit(
            catalog.vectors[modality][mask],
            terms,
            degree=DEGREES[modality],
            dims=self.dims[modality],
            terms_gain=self.terms_gain,
            seed=seed,
        )

    def _features(self, catalog: Catalog) -> NDArray[np.float32]:
        """float32 [N, p], the modalities side by side."""
        terms = {"text": catalog.terms}
        return np.hstack([k(catalog.vectors[m], catalog.masks[m], terms.get(m)) for m, k in self._kernels.items()])

    def _user_parts(
        self, scorers: Scorers, catalog: Catalog, history: History, users: NDArray[np.integer], *, own_moment: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """The users' vectors for transitions [n, r], trend [n, BINS] and content [n, p], without the weights of the
        mixture; and whether each has a like of a known item, bool [n]."""
        likes = history.likes()
        place = positions(scorers.item_ids, catalog.item_ids)[likes.item]
        known = replace(likes.where(place >= 0), item=place[place >= 0].astype(np.int32))
        moment = np.full(len(history.user_ids), history.timestamp.max() if len(history) else 0)
        if own_moment:
            # assigned in the order of time, so that a user's last like stays
            in_time = np.argsort(likes.timestamp, kind="stable")
            moment[likes.user[in_time]] = likes.timestamp[in_time]
        return (
            scorers.transition_users(known, users, decay=self.decay),
            scorers.trend_users(moment[users]),
            scorers.content_users(known, users, decay=self.decay),
            np.bincount(known.user, minlength=len(history.user_ids))[users] > 0,
        )

    def _choose_weights(
        self, catalog: Catalog, train: History, holdout: Validation, scorers: Callable[[Choices], Scorers]
    ) -> tuple[Choices, float]:
        """Chooses the ridge of the transitions, then the weights; returns them and the validation ndcg@10 reached."""
        place = positions(scorers(self._choices).item_ids, catalog.item_ids)
        # ridge → vectors of the users [V, r] and of the items [N, r]
        by_ridge: dict[float, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        for trial in hyperparameters.TRANSITION_RIDGES:
            model = scorers({**self._choices, **trial})
            users, *_ = self._user_parts(model, catalog, train, holdout.users, own_moment=True)
            by_ridge[trial["transition_ridge"]] = users, rows_at(model.following, place)

        def transition_scores(rows: slice) -> Callable[[Choices], NDArray[np.float32]]:
            return lambda trial: _dot(*by_ridge[trial["transition_ridge"]], rows)

        ridge, _ = hyperparameters.choose_best(holdout, hyperparameters.TRANSITION_RIDGES, transition_scores)
        model, features = scorers({**self._choices, **ridge}), self._features(catalog)
        trend = rows_at(model.trend, place)
        parts = {
            own: self._user_parts(model, catalog, train, holdout.users, own_moment=bool(own)) for own in (0.0, 1.0)
        }

        def mixture_scores(rows: slice) -> Callable[[Choices], NDArray[np.float32]]:
            # the three scores [B, N] once a batch; a trial only weighs and adds them
            transition = transition_scores(rows)(ridge)
            trend_by_moment = {own: _dot(moment, trend, rows) for own, (_, moment, _, _) in parts.items()}
            _, _, content_users, liked = parts[1.0]
            content = _dot(content_users, features, rows)

            def scores(trial: Choices) -> NDArray[np.float32]:
                weighted_trend = _trend_weight(trial, liked[rows]) * trend_by_moment[trial["own_moment"]]
                return transition + weighted_trend + np.float32(trial["content"]) * content

            return scores

        weights, reached = hyperparameters.choose_best(holdout, hyperparameters.MIXTURES, mixture_scores)
        return {**ridge, **weights}, reached


def _dot(users: NDArray[np.float32], items: NDArray[np.float32], rows: slice) -> NDArray[np.float32]:
    return users[rows] @ items.T


def _trend_weight(choices: Choices, liked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 [n, 1]: at least 1 for a user without a like, for whom the transitions are 0."""
    return np.where(liked, choices["trend"], max(1.0, choices["trend"])).astype(np.float32)[:, None]
