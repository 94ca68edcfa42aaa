"""Quality of encoders' vectors: how often the nearest neighbour of a content is of the same category.

For each encoder that runs without a path to weights: the share of a landing zone's contents whose nearest other content
(by cosine, contents of one item left out) belongs to an item of the same category. Beside it stand raw pixels, samples
or characters, what a random encoder makes of those (one layer of random weights, ReLU), random vectors, and chance;
networks without weights at hand run untrained. Texts are titles and descriptions, without the category's own name.

    python -m benchmarks.neighbours --stamps stamps
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.measuring import items
from features.audio.decode import decode_audio
from features.base import Encoder
from features.image.load import load_picture
from features.registry import ENCODERS, encoder
from schemas.table import MEDIA, Medium

BATCH = 32
WIDTH = 1280
"""Columns of the random encoder and of random vectors."""


@dataclass(frozen=True)
class Labelled:
    """Contents of one modality, each with the category of its item."""

    contents: list[Any]
    categories: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stamps", type=Path, required=True, help="a landing zone whose items have categories")
    parser.add_argument("--modalities", nargs="+", choices=MEDIA, default=MEDIA)
    options = parser.parse_args()
    for modality in options.modalities:
        labelled = read(options.stamps, modality)
        print(f"\n{modality}: {len(labelled.contents)} contents, {len(set(labelled.categories))} categories")
        for name, vectors in candidates(modality, labelled):
            print(f"  {name:<24} {agreement(vectors, labelled.categories):.3f}")
        shares = np.array(list(Counter(labelled.categories).values())) / len(labelled.categories)
        print(f"  {'chance':<24} {np.square(shares).sum():.3f}")


def read(root: Path, modality: Medium) -> Labelled:
    """Return the first content of each item that has one and a category; equal contents once."""
    found: dict[str, str] = {}
    for item in items(root):
        text = f"{item['title']}\n{item['description']}".strip()
        own = [text] if modality == "text" else item[f"{modality}_uris"]
        if own and own[0] and item["category"]:
            found.setdefault(own[0], item["category"])
    contents = list(found) if modality == "text" else [root / uri for uri in found]
    return Labelled(contents, np.array(list(found.values())))


def candidates(modality: Medium, labelled: Labelled) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and vectors [n, d]."""
    for key, name in sorted(ENCODERS):
        made = _made(modality, name) if key == modality else None
        if made is not None:
            yield f"untrained {name}" if made.untrained else name, encoded(made, labelled.contents)
    raw = np.stack([RAW[modality](content) for content in labelled.contents])
    yield f"raw {RAW_NAMES[modality]}", raw
    random = np.random.default_rng(0)
    yield "random encoder", np.maximum(raw @ random.normal(size=(raw.shape[1], WIDTH)), 0.0)
    yield "random vectors", random.normal(size=(len(raw), WIDTH))


def _made(modality: Medium, name: str) -> Encoder | None:
    """The encoder without parameters, else untrained; None if it requires parameters."""
    first: Exception | None = None
    for parameters in ({}, {"weights": "none"}):
        try:
            return encoder(modality, name, **parameters)
        except (TypeError, ValueError) as error:
            first = first or error
    print(f"  {name:<24} left out: {str(first).splitlines()[0]}")
    return None


def encoded(made: Encoder, contents: list[Any]) -> np.ndarray:
    vectors = []
    for start in tqdm(range(0, len(contents), BATCH), desc=made.name, leave=False):
        decoded = [made.decode(content) for content in contents[start : start + BATCH]]
        vectors.extend(made.encode(decoded)["vector"].to_pylist())
    return np.array(vectors, np.float32)


def agreement(vectors: np.ndarray, categories: np.ndarray) -> float:
    """Return the share of rows whose most similar other row, by cosine, is of the same category."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    return float((categories[likeness.argmax(axis=1)] == categories).mean())


def characters(text: str) -> np.ndarray:
    """Return how often each byte occurs, [256]."""
    return np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=256).astype(np.float32)


def pixels(path: Path) -> np.ndarray:
    """Return the picture at 32 x 32, less its mean, [3072]."""
    small = load_picture(path).pixels.reshape(32, 7, 32, 7, 3).mean(axis=(1, 3)).ravel()
    return small - small.mean()


def samples(path: Path) -> np.ndarray:
    """Return the first second, at a fifth of the rate, [4410]."""
    second = np.zeros(22050, np.float32)
    found = decode_audio(path, max_seconds=1.0).samples[:22050]
    second[: len(found)] = found
    return second.reshape(-1, 5).mean(axis=1)


def middle_frame(path: Path) -> np.ndarray:
    """Return the frame in the middle of the video at 32 x 32, less its mean, [3072]."""
    import av

    with av.open(str(path)) as film:
        frames = [frame.reformat(32, 32, "rgb24").to_ndarray() for frame in film.decode(video=0)]
    middle = frames[len(frames) // 2].astype(np.float32).ravel()
    return middle - middle.mean()


RAW: dict[Medium, Callable[[Any], np.ndarray]] = {
    "text": characters,
    "image": pixels,
    "audio": samples,
    "video": middle_frame,
}
RAW_NAMES = {"text": "characters", "image": "pixels", "audio": "samples", "video": "pixels"}


if __name__ == "__main__":
    main()
