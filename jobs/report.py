"""The night's report: one HTML file that opens offline."""

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
from jinja2 import Environment, PackageLoader, StrictUndefined

from jobs.modelling.coverage import coverage, losses
from jobs.runtime.night import Night, UserError
from lake import storage, views
from lake.asof import create_latest
from lake.files import write_whole
from lake.lake import Lake
from schemas.table import MEDIA, MODALITIES

log = logging.getLogger("nightweave.report")

FORMAT = 1
"""Of the page, for programs that read it; it stands in its head."""
USERS_SHOWN = 5
ITEMS_SHOWN = 8
PLACES_SHOWN = 5

LEDGER = "SELECT step, rows_in, kept, refused, duplicates, superseded FROM ledger WHERE date = $night ORDER BY step"
QUARANTINE = """
    SELECT stage, reason, sum(coalesce(rows, 1)) AS rows, any_value(detail ORDER BY source, position) AS example
    FROM quarantine WHERE date = $night GROUP BY 1, 2 ORDER BY 1, rows DESC
"""
FEATURES = " UNION ALL ".join(
    f"SELECT '{m}' AS modality, encoder, count(*) AS contents, count(*) FILTER (date = $night) AS new "
    f"FROM features_{m} GROUP BY ALL"
    for m in MEDIA
)
MODEL = "SELECT * EXCLUDE (date) FROM models WHERE date = $night"
METRICS = """
    PIVOT (SELECT split, model, metric || coalesce('@' || k, '') AS figure, value FROM metrics
           WHERE date = $night AND segment = 'all' AND split NOT LIKE '% validation' AND (metric = 'auc' OR k = (
               SELECT max(k) FROM metrics WHERE date = $night AND metric = 'ndcg'))
             AND metric NOT IN ('roc', 'pr') AND metric NOT LIKE 'platt%' AND metric NOT LIKE 'isotonic%')
    ON figure USING any_value(value) GROUP BY split, model
"""
SEGMENTS = """
    SELECT split, segment, model, value FROM metrics
    WHERE date = $night AND metric = 'ndcg' AND segment != 'all' AND split NOT LIKE '% validation'
      AND k = (SELECT max(k) FROM metrics WHERE date = $night AND metric = 'ndcg')
    ORDER BY split, segment, value DESC
"""
CALIBRATION = """
    SELECT model, coalesce(CAST(k AS VARCHAR), 'all') AS bin,
        any_value(value) FILTER (metric = 'platt_predicted') AS "Platt: predicted",
        any_value(value) FILTER (metric = 'platt_observed') AS "Platt: observed",
        any_value(value) FILTER (metric = 'platt_error') AS "Platt: error",
        any_value(value) FILTER (metric = 'isotonic_predicted') AS "isotonic: predicted",
        any_value(value) FILTER (metric = 'isotonic_observed') AS "isotonic: observed",
        any_value(value) FILTER (metric = 'isotonic_error') AS "isotonic: error"
    FROM metrics WHERE date = $night AND regexp_matches(metric, '^(platt|isotonic)_(predicted|observed|error)$')
    GROUP BY model, k ORDER BY model, k NULLS LAST
"""
CALIBRATION_NOTE = (
    "Pairs of a user and an item in bins of about equal count, from the lowest probability up: the mean that a "
    "function of the score predicts, and the share that was liked. The function, Platt's sigmoid or an isotonic one, "
    "was fitted to other users. The error of all is the expected calibration error, 0 at best."
)
LOST_NOTE = (
    "Of the items that had a modality on the last night and are still there, how many lack it now. Above "
    "evaluate.warn_lost_share it is a warning: look at what extraction refused, and at what the configuration names."
)
TRIED = """
    SELECT model AS tried, metric || '@' || k AS figure, value, low, high FROM metrics
    WHERE date = $night AND split LIKE '% validation' AND k IS NOT NULL ORDER BY value DESC, model
"""
SHELVES = f"""
    SELECT r.user_id, r.shelf, r.rank, r.item_id, i.title, r.score, r.modalities,
        r.contribution_history AS history, {", ".join(f"coalesce(r.contribution_{m}, 0) AS {m}" for m in MODALITIES)}
    FROM recommendations r LEFT JOIN latest i USING (item_id)
    WHERE r.date = $night AND r.rank <= $places AND r.user_id IN
        (SELECT user_id FROM recommendations WHERE date = $night GROUP BY 1 ORDER BY hash(user_id) LIMIT $users)
    ORDER BY r.user_id, r.shelf, r.rank
"""
NEIGHBOURS = """
    SELECT i.title, s.item_id, list({'title': n.title, 'score': s.score} ORDER BY s.rank) AS neighbours
    FROM similar_items s LEFT JOIN latest i ON i.item_id = s.item_id LEFT JOIN latest n ON n.item_id = s.similar_item_id
    WHERE s.date = $night AND s.rank <= $places AND s.item_id IN
        (SELECT item_id FROM similar_items WHERE date = $night GROUP BY 1 ORDER BY hash(item_id) LIMIT $items)
    GROUP BY ALL ORDER BY s.item_id
"""


@dataclass(frozen=True)
class Section:
    """One table of the report, and a sentence on how to read it."""

    title: str
    columns: list[str]
    rows: list[tuple[Any, ...]]
    note: str = ""


def write_report(lake: Lake, night: date, *, warn_lost_share: float) -> str:
    """Write LAKE/reports/DATE.html and return where it is.

    Args:
        warn_lost_share: `evaluate.warn_lost_share` of the configuration.

    Raises:
        UserError: the lake has nothing of that night.
        DamageError: a table is damaged.
    """
    with views.reading(lake) as connection:
        page = _page(connection, lake, night, warn_lost_share=warn_lost_share)
    filesystem, root = storage.filesystem(lake.uri)
    filesystem.create_dir(f"{root}/reports", recursive=True)
    write_whole(filesystem, f"{root}/reports/{night}.html", page.encode())
    return f"{root}/reports/{night}.html"


def _page(connection: duckdb.DuckDBPyConnection, lake: Lake, night: date, *, warn_lost_share: float) -> str:
    """The report as HTML."""
    create_latest(connection, night)
    limits = {"users": USERS_SHOWN, "items": ITEMS_SHOWN, "places": PLACES_SHOWN}

    def ask(title: str, sql: str, *, note: str = "") -> Section:
        parameters = {"night": night} | {name: value for name, value in limits.items() if f"${name}" in sql}
        result = connection.execute(sql, parameters)
        return Section(title, [column[0] for column in result.description], result.fetchall(), note)

    accounts = ask("What became of the rows", LEDGER)
    if not accounts.rows:
        raise UserError(
            f"the lake {lake.uri} has nothing of the night {night}; run it: nightweave night --date {night}"
        )
    return (
        Environment(loader=PackageLoader("jobs"), autoescape=True, undefined=StrictUndefined)
        .get_template("report.html")
        .render(
            format=FORMAT,
            night=night,
            models=_dicts(ask("The model", MODEL)),
            sections=[
                accounts,
                ask("What was refused", QUARANTINE),
                ask("Features in the store", FEATURES),
                _lost(lake, night, warn_lost_share=warn_lost_share),
                ask("Validation figures of the strategies tried", TRIED),
                _metrics(connection, night),
                ask("ndcg by segment", SEGMENTS),
                ask("Calibration: scores as probabilities", CALIBRATION, note=CALIBRATION_NOTE),
            ],
            shelves=_dicts(ask("Some shelves", SHELVES)),
            neighbours=_dicts(ask("Some neighbours", NEIGHBOURS)),
            parts=("history", *MODALITIES),
        )
    )


def _metrics(connection: duckdb.DuckDBPyConnection, night: date) -> Section:
    """Models as rows, figures as columns; empty on a night without held-out likes."""
    title = "The model beside the baselines, on the same held-out likes"
    any_row = connection.execute("SELECT 1 FROM metrics WHERE date = $night LIMIT 1", {"night": night}).fetchall()
    if not any_row:
        return Section(title, [], [])
    result = connection.execute(METRICS.replace("$night", f"DATE '{night}'"))
    return Section(title, [column[0] for column in result.description], result.fetchall())


def _lost(lake: Lake, night: date, *, warn_lost_share: float) -> Section:
    """The modalities that items have had on the night before and lack on this one."""
    before, now = coverage(lake, until=night - timedelta(days=1)), coverage(lake, until=night)
    found = losses(before, now) if before and now and now.night == night else []
    columns = ["modality", "since", "items", "lost", "share", ""]
    rows = [
        (loss.modality, loss.since, loss.had, loss.lost, loss.share, "WARNING" * (loss.share > warn_lost_share))
        for loss in found
        if loss.lost
    ]
    return Section("Modalities that items have lost", columns, rows, LOST_NOTE)


def _dicts(section: Section) -> list[dict[str, Any]]:
    return [dict(zip(section.columns, row, strict=True)) for row in section.rows]


def run(night: Night) -> None:
    """Write the night's report; the log has its path."""
    path = write_report(night.lake, night.date, warn_lost_share=night.config.evaluate.warn_lost_share)
    log.info("report: %s", path)
