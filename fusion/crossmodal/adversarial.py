"""Generation by a conditional adversarial network."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.conditional import Conditional
from fusion.crossmodal.layers import perceptron, start_perceptron
from fusion.crossmodal.training import Batch, Player, Weights


class Adversarial(Conditional):
    """A conditional GAN (Mirza and Osindero 2014, eq. 2): a generator G(z, c) and a discriminator D(y, c), where c is
    what the item has and y the modality that it may lack.

    The generator's loss is the non-saturating one (Goodfellow et al. 2014, section 3) plus `reconstruction` times the
    squared distance to what was wanted (as Isola et al. 2017 add a distance, eq. 4): without it, a few thousand items
    are too few. Used is the mean over `draws` fixed draws of z, the same for every item.

    Args:
        latent: width of z.
        draws: how many.
        reconstruction: at least 0.
        settings: see `Conditional`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "gan"

    def __init__(self, *, latent: int = 16, draws: int = 8, reconstruction: float = 10.0, **settings: Any) -> None:
        super().__init__(**settings)
        if latent < 1 or draws < 1 or reconstruction < 0:
            raise ValueError(
                f"latent {latent}, draws {draws} and reconstruction {reconstruction}: expected at least 1, 1 and 0"
            )
        self.latent, self.draws, self.reconstruction = latent, draws, reconstruction

    def parameters(self) -> dict[str, Any]:
        own = {"latent": self.latent, "draws": self.draws, "reconstruction": self.reconstruction}
        return own | super().parameters()

    def _start(self, random: np.random.Generator, *, inputs: int, outputs: int) -> Weights:
        begin = partial(start_perceptron, random, hidden=self.hidden)
        return {
            **begin("generator", inputs=inputs + self.latent, outputs=outputs, silent=True),
            **begin("discriminator", inputs=inputs + outputs, outputs=1),
            "draws": random.normal(size=(self.draws, self.latent)).astype(np.float32),
        }

    def _players(self) -> Sequence[Player]:
        def generator(weights: Mapping[str, Any], batch: Batch) -> Any:
            from keras import ops

            made = _made(weights, batch, xp=ops)
            distance = ops.mean((made - batch["wanted"]) ** 2)
            return generator_loss(_judged(weights, made, batch, xp=ops), xp=ops) + self.reconstruction * distance

        def discriminator(weights: Mapping[str, Any], batch: Batch) -> Any:
            from keras import ops

            true = _judged(weights, batch["wanted"], batch, xp=ops)
            return discriminator_loss(true, _judged(weights, _made(weights, batch, xp=ops), batch, xp=ops), xp=ops)

        return [
            Player(lambda name: name.startswith("discriminator/"), discriminator),
            Player(lambda name: name.startswith("generator/"), generator),
        ]

    def _chance(self, random: np.random.Generator, n: int) -> dict[str, NDArray[np.float32]]:
        return {"noise": random.normal(size=(n, self.latent)).astype(np.float32)}

    def _use(self, weights: Weights, given: NDArray[np.float32]) -> NDArray[np.float32]:
        made = [
            perceptron(weights, "generator", np.hstack([np.tile(draw, (len(given), 1)), given]), xp=np)
            for draw in weights["draws"]
        ]
        return np.mean(made, axis=0)


def discriminator_loss(true: Any, made: Any, *, xp: Any) -> Any:
    """-mean log D(true) - mean log (1 - D(made)) [], from logits [n, 1] each."""
    return xp.mean(xp.logaddexp(-true, 0.0)) + xp.mean(xp.logaddexp(made, 0.0))


def generator_loss(made: Any, *, xp: Any) -> Any:
    """-mean log D(made) [], from logits [n, 1]."""
    return xp.mean(xp.logaddexp(-made, 0.0))


def _made(weights: Mapping[str, Any], batch: Batch, *, xp: Any) -> Any:
    return perceptron(weights, "generator", xp.concatenate([batch["noise"], batch["given"]], axis=1), xp=xp)


def _judged(weights: Mapping[str, Any], y: Any, batch: Batch, *, xp: Any) -> Any:
    return perceptron(weights, "discriminator", xp.concatenate([y, batch["given"]], axis=1), xp=xp)
