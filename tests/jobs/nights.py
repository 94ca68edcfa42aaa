"""Nights run step by step in this process, by one engine: what the DAG does, without its process starts."""

from pathlib import Path

from jobs import clean, evaluate, extract, recommend, train
from jobs.runtime.night import Night
from lake.lake import Lake
from lake.rows import Engine
from schemas.table import MEDIA
from schemas.tables import TABLES, Costs


def run_night(engine: Engine, night: Night) -> None:
    prepare(engine, night)
    finish(engine, night)


def prepare(engine: Engine, night: Night) -> None:
    clean.clean_items(engine, night)
    clean.clean_interactions(engine, night)
    clean.clean_vectors(engine, night)
    for modality in MEDIA:
        extract.extract_modality(lambda *_: engine, night, modality)


def finish(engine: Engine, night: Night) -> None:
    train.run(night)
    evaluate.run(night)
    recommend.recommend_night(lambda *_: engine, night)


def a_night(date: str, raw: Path, lake: Lake, *, config: str | None = None) -> Night:
    return Night.of(date_=date, raw=str(raw), lake=lake.uri, config=config)


def contents(lake: Lake, *, without: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Every table's rows, each as text, in one order; columns of `without` left out, and what steps cost, which no two
    runs share."""
    rows = {}
    for name, table in TABLES.items():
        if table is Costs:
            continue
        columns = [column for column in table.schema.names if column not in without]
        rows[name] = sorted(map(repr, lake.read(table, columns=columns).to_pylist()))
    return rows
