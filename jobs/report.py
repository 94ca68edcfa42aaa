"""The night's report: one HTML file that opens offline, and a page of the nights at a glance."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from functools import cache
from typing import Any

import duckdb
from jinja2 import Environment, PackageLoader, StrictUndefined

from jobs.landing.raw import Raw
from jobs.modelling.coverage import coverage, losses
from jobs.modelling.populations import POPULATIONS
from jobs.reporting import arrivals, charts, contents, costs, figures, index, shelves, words
from jobs.reporting.headline import Standing, headline
from jobs.reporting.pictures import Album
from jobs.runtime.night import Night, UserError
from lake import publication, staging, storage, views
from lake.asof import create_latest
from lake.files import write_whole
from lake.lake import Lake
from schemas.table import PARTS
from schemas.tables import NEWCOMER

log = logging.getLogger("nightweave.report")

FORMAT = 2
"""Of the page, for programs that read it; it stands in its head."""
FOLDER = "reports"
DUPLICATES_SHOWN = 5
MEMBERS_SHOWN = 2
NEWEST = "SELECT max(date) FROM ledger"


def write_report(
    lake: Lake, night: date, *, warn_lost_share: float, raw: Raw | None = None, standing: Standing | None = None
) -> str:
    """Write LAKE/reports/DATE.html and LAKE/reports/index.html, and return where the first is.

    Args:
        warn_lost_share: `evaluate.warn_lost_share` of the configuration.
        raw: the landing zone, for pictures and sounds; the page is without them if None.
        standing: whether readers see the night; as `published` and what is staged have it, if None.

    Raises:
        UserError: the lake has nothing of that night.
        DamageError: a table is damaged.
    """
    filesystem, root = storage.filesystem(lake.uri)
    filesystem.create_dir(f"{root}/{FOLDER}", recursive=True)
    reported = {night, *_reported(lake)}
    with views.reading(lake) as connection:
        create_latest(connection, night)
        page = _page(
            connection,
            lake,
            night,
            warn_lost_share=warn_lost_share,
            raw=raw,
            standing=standing or _standing(lake, night),
            reported=reported,
        )
    write_whole(filesystem, f"{root}/{FOLDER}/{night}.html", page.encode())
    with views.reading(lake) as connection:
        write_whole(filesystem, f"{root}/{FOLDER}/index.html", _index(connection, reported).encode())
    return f"{root}/{FOLDER}/{night}.html"


def _standing(lake: Lake, night: date) -> Standing:
    """Whether readers see the night, as far as `published` and what is staged tell."""
    if staging.parts(lake, str(night)):
        passed = staging.passed_audit(lake, str(night), staging.parts(lake, str(night)))
        why = {None: "it was not audited", False: "it failed its audit", True: "it passed its audit and is left staged"}
        return Standing(False, why[passed])
    of_night = [change for change in publication.history(lake) if change.date == night]
    if not of_night:
        return Standing()
    last = of_night[-1]
    who = f"{last.actor}: {last.reason}" if last.reason else ""
    return Standing(
        last.action == publication.PUBLISH, f"rolled back by {who}" if last.action == publication.ROLLBACK else who
    )


def _page(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    night: date,
    *,
    warn_lost_share: float,
    raw: Raw | None,
    standing: Standing,
    reported: set[date],
) -> str:
    """The report as HTML."""
    came = arrivals.arrivals(connection, night)
    if not came.tonight:
        raise UserError(
            f"the lake {lake.uri} has nothing of the night {night}; run it: nightweave night --date {night}"
        )
    found = figures.figures(connection, night)
    users = shelves.users(connection, night, came.last_night)
    neighbours = shelves.neighbours(connection, night)
    groups = contents.duplicates(connection)
    shown = [group[:MEMBERS_SHOWN] for group in groups[:DUPLICATES_SHOWN]]
    album = Album(raw)
    others = {item_id for each in neighbours for item_id in (each.item_id, *(other for other, _ in each.similar))}
    album.load(connection, shelves.items_of(users) | others | {item_id for group in shown for item_id in group})
    return _render(
        "report.html",
        night=night,
        before=came.last_night if came.last_night in reported else None,
        headline=headline(found, came, standing),
        arrivals=came,
        figures=found,
        compared=found.compared,
        reliability=(reliability := _reliability(found)),
        reliability_top=max(
            (value for points in reliability.values() for point in points for value in point), default=1
        ),
        cold=contents.cold(connection, night),
        losses=_losses(lake, night),
        warn_lost_share=warn_lost_share,
        **_coverage(contents.coverage(connection, night), night),
        stores=contents.stores(connection, night),
        drifts=(drifts := contents.drifts(connection, night)),
        drift_scale=charts.Scale.of([v for each in drifts for v in (each.distance, each.threshold)], zero=True),
        duplicates=[[album.card(item_id) for item_id in group] for group in shown],
        duplicates_found=len(groups),
        users=users,
        neighbours=neighbours,
        newcomer=NEWCOMER,
        costs=costs.costs(connection, night),
        parts_key=[(part, words.name(part)) for part in PARTS],
        has_raw=raw is not None,
        card=album.card,
    )


def _index(connection: duckdb.DuckDBPyConnection, reported: set[date]) -> str:
    """The page of the nights at a glance, as of the newest."""
    ((newest,),) = connection.execute(NEWEST).fetchall()
    create_latest(connection, newest)
    came, found = arrivals.arrivals(connection, newest), figures.figures(connection, newest)
    population = next(iter(found.every), None)
    glances = index.glances(came, population, found.models, reported=reported)
    oldest_first = glances[::-1]
    return _render(
        "index.html",
        nights=glances,
        label=found.label,
        days=came.nights,
        figure_lines=index.lines_of([(each.ours, each.best) for each in oldest_first]),
        item_stacks=_stacks(came.history("clean_items")),
        event_stacks=_stacks(came.history("clean_interactions")),
    )


def _render(template: str, **values: Any) -> str:
    return _templates().get_template(f"report/{template}").render(format=FORMAT, **values)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("jobs"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "say": words.say,
        "name": words.name,
        "both": words.both,
        "number": words.number,
        "percent": words.percent,
        "size": words.size,
        "shared": shelves.shared,
        "charts": charts,
        "stacks": _stacks,
        "scale_of": _scale,
        "segment_scale": lambda rows: _scale([value for pair in rows for value in pair if value]),
        "population_lines": lambda population: index.lines_of([pair for _, *pair in population.nights]),
        "population_name": lambda in_words: words.name(_POPULATION_OF.get(in_words) or in_words),
        "percent_points": lambda points: [(k / 100, value) for k, value in points],
    }
    return environment


_POPULATION_OF: dict[str, str] = {in_words: population for population, in_words, _ in POPULATIONS.values()}


def _stacks(accounts: Sequence[arrivals.Account | None]) -> list[tuple[tuple[str, int], ...] | None]:
    return [account.parts if account else None for account in accounts]


def _scale(values: Sequence[figures.Value]) -> charts.Scale:
    return charts.Scale.of([end for v in values for end in (v.value, v.low, v.high)])


def _reliability(found: figures.Figures) -> dict[str, list[tuple[float, float]]]:
    """Class of the style → the points (predicted, observed) of a function from scores to probabilities."""
    points: dict[str, list[tuple[float, float]]] = {}
    for kind, method in (("baseline", "isotonic"), ("serving", "platt")):
        predicted, observed = (dict(found.curve(f"{method}_{what}")) for what in ("predicted", "observed"))
        if pairs := [(value, observed[k]) for k, value in predicted.items() if k in observed]:
            points[kind] = sorted(pairs)
    return points


def _coverage(rows: Sequence[contents.Coverage], night: date) -> Mapping[str, Any]:
    """What the page shows of coverage: of the night, and of all nights where there are several."""
    nights = sorted({row.night for row in rows})
    modalities = sorted({row.modality for row in rows}, key=PARTS.index)
    share = {(row.night, row.modality): row.share for row in rows}
    drawn = [
        charts.Line(m, [(share[day, m], None, None) if (day, m) in share else None for day in nights])
        for m in modalities
    ]
    return {
        "coverage_tonight": [row for m in modalities for row in rows if (row.night, row.modality) == (night, m)],
        "coverage_nights": nights,
        "coverage_lines": drawn if len(nights) > 1 else [],
        "coverage_key": [(m, words.name(m)) for m in modalities],
    }


def _losses(lake: Lake, night: date) -> list[Any]:
    """The modalities that items have had on the night before and lack on this one."""
    before, now = coverage(lake, until=night - timedelta(days=1)), coverage(lake, until=night)
    found = losses(before, now) if before and now and now.night == night else []
    return [loss for loss in found if loss.lost]


def _reported(lake: Lake) -> set[date]:
    """The nights that have a page."""
    from pyarrow.fs import FileSelector

    filesystem, root = storage.filesystem(lake.uri)
    found = filesystem.get_file_info(FileSelector(f"{root}/{FOLDER}", allow_not_found=True))
    nights: set[date] = set()
    for info in found:
        with suppress(ValueError):  # `index.html`, and whatever else is there
            nights.add(date.fromisoformat(info.base_name.removesuffix(".html")))
    return nights


def run(night: Night) -> None:
    """Write the night's report; the log has its path."""
    path = write_report(night.lake, night.date, warn_lost_share=night.config.evaluate.warn_lost_share, raw=night.raw)
    log.info("report: %s", path)
