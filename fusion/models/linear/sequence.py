"""Model-level fusion over time: a user is an attentive reading of what they liked last, by history and content."""

from typing import Any, ClassVar

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution

from fusion.data.arguments import at_least
from fusion.data.catalog import Catalog
from fusion.models.base import Lesson, Space
from fusion.models.linear.base import LinearItems
from fusion.models.linear.sequence_vectors import Items
from fusion.training.trainer import Weights

HEADS = 2
"""One that begins heeding all places alike, and one that begins heeding the latest."""


class SequenceFusion(LinearItems):
    """score(u, i) = u · [q_i, b_i ; W_text x_i ; W_image x_i ; W_audio x_i ; W_video x_i], where u is read off the
    user's last likes by self-attention, in the manner of SASRec (Kang and McAuley 2018;
    `fusion.models.linear.self_attention.read`).

    A like is known by its item's closed-form history factors and projected modalities. Attention begins as a plain mean
    and as one that weighs recent likes more, q at the factors and W at a whitening, so that training begins at a good
    model; everything is then trained together by softmax cross-entropy on what users liked next. Hiding q and b of
    random items in training teaches the content columns to speak for items that nobody has liked yet.

    Args:
        length: likes that are read, at most.
        rank: history factors.
        dims: columns that a modality's vectors are projected onto before learning.
        width: columns that a modality has in the item's vector, at most.
        key: columns of a head's queries and keys.
        hidden: units of the layer above the readings.
        content_gain: how much likeness of content counts before training.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the second head, before training.
        training: see `fusion.training.config.Recipe`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "sequence"
    space: ClassVar[Space] = {
        "rank": IntDistribution(32, 128, log=True),
        "content_gain": FloatDistribution(0.5, 10.0, log=True),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
    }

    def __init__(
        self,
        *,
        length: int = 50,
        rank: int = 64,
        dims: int = 64,
        width: int = 32,
        key: int = 16,
        hidden: int = 64,
        content_gain: float = 3.0,
        ridge: float = 800.0,
        decay: float = 10.0,
        **training: Any,
    ) -> None:
        super().__init__(locals())
        at_least(1, length=length, key=key, hidden=hidden)
        self.length, self.key, self.hidden = length, key, hidden

    def _begin(self, lesson: Lesson) -> tuple[Items, Weights]:
        random = np.random.default_rng(lesson.seed)
        items, users = self._start(lesson, readings=HEADS, content_reading=HEADS - 1, random=random)
        readings, columns = users["kernel"].shape
        sources = readings // HEADS
        attention = {
            "query": np.zeros((sources, HEADS * self.key)),
            "key": random.normal(0, 1 / np.sqrt(max(1, sources)), (sources, HEADS * self.key)),
            "place": np.stack([np.zeros(self.length), -np.arange(self.length) / self.decay]),
            "hidden": random.normal(0, 1 / np.sqrt(max(1, readings)), (readings, self.hidden)),
            "hidden_bias": np.zeros(self.hidden),
            "out": np.zeros((self.hidden, columns)),
        }
        weights = items | users | attention
        return self._network(lesson.catalog), {name: array.astype(np.float32) for name, array in weights.items()}

    def _network(self, catalog: Catalog) -> Items:
        return Items(**self._described(catalog), length=self.length)
