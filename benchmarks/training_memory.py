"""Memory and time of a night's training on a large history, by default of 10 million interactions.

Writes a catalog and interactions, generated from a seed, with the lake's own writer. Then runs the parts of training,
each in a process of its own: loading the night's data, and for each strategy that, its fit and the scoring of
validation users. Prints peak resident memory and seconds of each; `cpu_s` is the processor time of all threads.

    python -m benchmarks.training_memory LAKE [--interactions 10000000] [--strategies stack,weighted]

Popularity falls off as a power of rank, users like by groups of items, and item vectors are group centres with noise.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measuring import blank_row, last_line
from features.registry import encoder
from jobs.landing.raw import Raw
from jobs.runtime.ledger import Account, close
from jobs.runtime.night import Night
from lake.lake import Lake
from schemas.config import Config
from schemas.features import FEATURES
from schemas.table import Medium
from schemas.tables import Interactions, Items

NIGHT = date(2026, 11, 1)
GROUPS = 50
ROWS_AT_ONCE = 1_000_000
START, SPAN = 1_700_000_000_000_000, 365 * 86_400 * 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake")
    for option, default in (("interactions", 10_000_000), ("users", 100_000), ("items", 30_000)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--strategies", default="stack,weighted")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    night = Night(NIGHT, Raw(options.lake), Lake(options.lake), Config())
    if options.step:
        print(json.dumps(_measured(night, options.step)))
        return
    if not Path(options.lake).exists():
        write(night, interactions=options.interactions, users=options.users, items=options.items)
    for step in ("load", *options.strategies.split(",")):
        command = [sys.executable, "-m", "benchmarks.training_memory", options.lake, "--step", step]
        figures = json.loads(last_line(command))
        print(f"{step:<14}" + "".join(f"  {name} {value:8.1f}" for name, value in figures.items()), flush=True)


def write(night: Night, *, interactions: int, users: int, items: int) -> None:
    """Write the tables that training reads, as of one night."""
    random = np.random.default_rng(1)
    group = random.integers(0, GROUPS, items)
    _write_items(night, items)
    widths: dict[Medium, int] = {"text": 384, "image": 1280}
    for modality, width in widths.items():
        _write_features(night, modality, group, width, random)
    staged = night.lake.stage(
        Interactions, _events(interactions, users=users, group=group, random=random), {"date": night.ds}
    )
    night.lake.replace(Interactions, [staged] if staged else [], {"date": night.ds})
    close(night, "recommend", Account(rows_in=0, kept=0))


def _write_items(night: Night, items: int) -> None:
    rows = []
    for number in range(items):
        known = {"date": night.date, "item_id": _item(number), "text_key": f"t{number}", "image_keys": [f"i{number}"]}
        rows.append(blank_row(Items.schema) | known)
    night.lake.write(Items, pa.Table.from_pylist(rows, schema=Items.schema), {"date": night.ds})


def _write_features(night: Night, modality: Medium, group: np.ndarray, width: int, random: np.random.Generator) -> None:
    choice = night.config.extract.encoders[modality][0]
    fingerprint = encoder(modality, choice.name, **choice.parameters).fingerprint
    centres = random.normal(size=(GROUPS, width))
    schema = FEATURES[modality].schema
    for start in range(0, len(group), 10_000):
        part = group[start : start + 10_000]
        vectors = (centres[part] + 2 * random.normal(size=(len(part), width))).astype(np.float32)
        terms = np.sort(random.integers(0, 1000, (len(part), 8)) + 1000 * (part[:, None] % 100), axis=1)
        rows = []
        for row in range(len(part)):
            known = {"content_key": f"{modality[0]}{start + row}", "encoder": fingerprint, "date": night.date}
            known["vector"] = vectors[row].tolist()
            if modality == "text":
                ids = sorted(set(terms[row].tolist()))
                known |= {"term_ids": ids, "term_counts": [1] * len(ids)}
            rows.append(blank_row(schema) | known)
        table = pa.Table.from_pylist(rows, schema=schema)
        partition = {"encoder": fingerprint}
        staged = night.lake.stage(FEATURES[modality], table.to_batches(), partition)
        night.lake.append_new(FEATURES[modality], [staged] if staged else [], partition)


def _events(count: int, *, users: int, group: np.ndarray, random: np.random.Generator) -> Iterator[pa.RecordBatch]:
    """Events, three in four of the user's own groups, with popular items more often."""
    members = [np.flatnonzero(group == number) for number in range(GROUPS)]
    own = random.integers(0, GROUPS, (users, 3))
    names = pa.array([f"user-{number:07d}" for number in range(users)])
    items = pa.array([_item(number) for number in range(len(group))])
    for start in range(0, count, ROWS_AT_ONCE):
        n = min(ROWS_AT_ONCE, count - start)
        user = (users * random.random(n) ** 1.5).astype(np.int64)
        item = (len(group) * random.random(n) ** 2).astype(np.int64)
        chosen = own[user, random.integers(0, 3, n)]
        for number in np.unique(chosen):
            here = (chosen == number) & (random.random(n) < 0.75)
            item[here] = members[number][(len(members[number]) * random.random(here.sum()) ** 2).astype(np.int64)]
        columns = {
            "date": pa.repeat(pa.scalar(NIGHT), n),
            "user_id": names.take(pa.array(user)),
            "item_id": items.take(pa.array(item)),
            "timestamp": pa.array(START + np.sort(random.integers(0, SPAN, n)), pa.int64()),
            "event": pa.repeat(pa.scalar("like"), n),
        }
        for field in Interactions.schema:
            columns.setdefault(field.name, pa.nulls(n, field.type))
        table = pa.table({field.name: columns[field.name] for field in Interactions.schema})
        yield from table.cast(Interactions.schema).to_batches()


def _measured(night: Night, step: str) -> dict[str, float]:
    from fusion.data.splits import split_as
    from fusion.missing.fill import model_input
    from fusion.selection.bench import Bench
    from jobs.modelling.dataset import load

    began, used = time.monotonic(), time.process_time()
    (dataset,), how = load(night), night.config.fusion
    figures = {"likes": float(len(dataset.history.likes()))}
    if step != "load":
        parts = split_as(dataset.history, how, item_ids=dataset.catalog.item_ids)
        catalog = model_input(dataset.catalog, dataset.reviews, parts.train, how)
        bench = Bench(catalog, parts, metric="ndcg", k=10, seed=1)
        trial = bench.attempt(step, step, {})
        figures |= {"fit_s": trial.fitted.seconds, "ndcg/1000": 1000 * (trial.value or 0)}
    figures |= {"seconds": time.monotonic() - began, "cpu_s": time.process_time() - used}
    return figures | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _item(number: int) -> str:
    return f"item-{number:06d}"


if __name__ == "__main__":
    main()
