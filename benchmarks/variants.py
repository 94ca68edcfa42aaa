"""Strategies beside baselines on variants of the data of one or more lakes, so that nothing is tuned on one data set.

Of each lake's night: the data as it is, without the newest 40% of each user's likes, without times, with times
shuffled, with half and an eighth of the users, and with each modality alone. Each is split by users' time and by new
items; a strategy chooses by validation likes and learns from those and train, a baseline from both; the figure is the
mean ndcg@10 over users. The last column is the first strategy's over the best of the others.

    python -m benchmarks.variants --date 2026-11-01 LAKE [LAKE ...] --strategies stack,weighted
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import partial

import numpy as np

from fusion.baselines.registry import BASELINES
from fusion.data.catalog import Catalog, History, Scorer, Split
from fusion.data.splits import Kind, split
from fusion.data.subsets import without_modality
from fusion.evaluation.evaluate import evaluate
from fusion.models import registry
from fusion.models.scorer import scorer
from fusion.training.early_stopping import Holdout
from jobs.landing.raw import Raw
from jobs.modelling.dataset import load
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.table import MODALITIES

SEED = 20261123
KINDS: tuple[Kind, ...] = ("per_user", "cold_items")
PEERS = {"per_user": ("popularity", "item_knn", "ease", "ials"), "cold_items": ("text_neighbours", "image_neighbours")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lakes", nargs="+", metavar="LAKE", help="with the features of the night")
    parser.add_argument("--date", type=date.fromisoformat, required=True)
    parser.add_argument("--strategies", default="stack", help="names, the first of which is compared with the others")
    options = parser.parse_args()
    strategies = options.strategies.split(",")
    for uri in options.lakes:
        (dataset,) = load(Night(options.date, Raw(uri), Lake(uri), Config()))
        if not len(dataset.history.likes()):
            raise SystemExit(f"{uri} has no likes as of {options.date}")
        for name, catalog, history in variants(dataset.catalog, dataset.history):
            for kind in KINDS:
                parts = split(history, kind=kind, test_share=0.2, valid_share=0.1, item_ids=catalog.item_ids, seed=SEED)
                found = figures(catalog, parts, strategies, kind=kind)
                best = max(value for model, value in found.items() if model != strategies[0])
                line = "  ".join(f"{model} {value:.4f}" for model, value in found.items())
                print(f"{uri} {name:<16} {kind:<10}  {line}  ratio {found[strategies[0]] / best:.3f}", flush=True)


def variants(catalog: Catalog, history: History) -> Iterator[tuple[str, Catalog, History]]:
    """Yield name, catalog and history of each variant."""
    random = np.random.default_rng(SEED)
    yield "as it is", catalog, history
    yield "older 60%", catalog, split(history, kind="per_user", test_share=0.4, valid_share=0.01).known()
    yield "no times", catalog, replace(history, timestamp=np.zeros_like(history.timestamp))
    yield "times shuffled", catalog, replace(history, timestamp=random.permutation(history.timestamp))
    place = random.random(len(history.user_ids))
    for name, share in (("half the users", 1 / 2), ("an eighth", 1 / 8)):
        yield name, catalog, history.where(place[history.user] < share)
    present = [modality for modality in MODALITIES if catalog.masks[modality].any()]
    for modality in present if len(present) > 1 else ():
        alone = catalog
        for other in MODALITIES:
            alone = alone if other == modality else without_modality(alone, other)
        yield f"{modality} alone", alone, history


def figures(catalog: Catalog, parts: Split, strategies: list[str], *, kind: Kind) -> dict[str, float]:
    """Return model → ndcg@10, NaN where nobody is asked."""
    known, new_items = parts.known(), parts.test_candidates is not None
    scorers: dict[str, Scorer] = {}
    for name in strategies:
        tuned = registry.create(name).fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=SEED), seed=SEED)
        model = registry.create(name)
        model.fit(catalog, known, seed=SEED, tuned=tuned)
        scorers[name] = scorer(model, catalog, known, new_items=new_items)
    for name in PEERS[kind]:
        baseline = BASELINES[name]().fit(known, len(catalog), catalog=catalog, terms=catalog.terms)
        scorers[name] = partial(baseline.scores, known)
    found = evaluate(scorers, split=parts, split_name=kind, n_items=len(catalog), ks=[10], segments=["all"])
    values = {figure.model: figure.value for figure in found if figure.metric == "ndcg"}
    return {name: values.get(name, float("nan")) for name in scorers}


if __name__ == "__main__":
    main()
