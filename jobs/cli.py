"""The `nightweave` command: what people run, and as `nightweave step` the steps of the night that the DAG runs."""

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from jobs.runtime.night import (
    Night,
    UserError,
    check_lake,
    config_source,
    day_of,
    existing_lake,
    location,
    user_errors,
)
from schemas.config import PROFILES, load, read
from schemas.table import Medium

# Modules that take long to import (Spark, TensorFlow, DuckDB) are imported by the commands that need them.
app = typer.Typer(
    help="A nightly batch pipeline for multimodal recommendation.", no_args_is_help=True, pretty_exceptions_enable=False
)
sources = typer.Typer(help="Lay a public data set out as a landing zone.", no_args_is_help=True)
exports = typer.Typer(help="Write a night's data for the tools of others.", no_args_is_help=True)
steps = typer.Typer(help="Run one step of a night, as a task of the nightly DAG does.", no_args_is_help=True)
app.add_typer(sources, name="import")
app.add_typer(exports, name="export")
app.add_typer(steps, name="step")

RawOption = Annotated[str | None, typer.Option("--raw", help="Landing zone: path or URI (env: NIGHTWEAVE_RAW)")]
LakeOption = Annotated[str | None, typer.Option("--lake", help="Tables: path or URI (env: NIGHTWEAVE_LAKE)")]
ConfigOption = Annotated[
    str | None, typer.Option("--config", help="YAML file or profile (env: NIGHTWEAVE_CONFIG; default: embedded)")
]
DateOption = Annotated[str, typer.Option("--date", help="The night, YYYY-MM-DD")]
ModalityOption = Annotated[Medium, typer.Option("--modality", help="The modality whose contents are extracted")]
NewRawArgument = Annotated[Path, typer.Argument(help="Folder to write the landing zone to")]
NightsOption = Annotated[int, typer.Option(help="Over how many nights the events arrive", min=1)]
LastNightOption = Annotated[str, typer.Option(help="The last night, YYYY-MM-DD")]
WithoutDataOption = Annotated[bool, typer.Option(help="Whether the night is known to bring no data")]
AllowShrinkingOption = Annotated[
    bool, typer.Option(help="Whether most of the night's rows, or of a modality, may go that were there before")
]
PublishOption = Annotated[bool, typer.Option(help="Whether readers of the night are to see what comes of it")]


@app.command("demo-data")
def demo_data(
    raw: Annotated[Path, typer.Argument(help="Folder to write the landing zone to")],
    items: Annotated[int, typer.Option(help="How many items", min=1)] = 240,
    users: Annotated[int, typer.Option(help="How many users", min=0)] = 200,
    nights: Annotated[int, typer.Option(help="Over how many nights they arrive", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes")] = 7,
    first_night: Annotated[str, typer.Option(help="The first night, YYYY-MM-DD")] = "2026-11-01",
    media: Annotated[bool, typer.Option(help="Whether to make pictures, sounds and videos")] = True,
) -> None:
    """Write a shop's catalog with all four modalities, made from a seed."""
    from jobs.demo import write_catalog

    day = day_of(first_night, option="--first-night")
    summary = write_catalog(raw, items=items, users=users, nights=nights, seed=seed, first_night=day, media=media)
    typer.echo(summary)


@sources.command("movielens")
def movielens(
    source: Annotated[Path, typer.Argument(help="Folder of any release, 100K to 32M, and, if there are any, posters/")],
    raw: NewRawArgument,
    nights: NightsOption = 3,
    last_night: LastNightOption = "2026-11-07",
    tags: Annotated[bool, typer.Option(help="Take users' tags into the text: they leak what users like")] = False,
) -> None:
    """MovieLens: titles, genres, keywords and posters as items, ratings as interactions."""
    from jobs.landing.movielens import write_landing_zone

    day = day_of(last_night, option="--last-night")
    typer.echo(write_landing_zone(source, raw, nights=nights, last_night=day, tags=tags))


@sources.command("amazon")
def amazon(
    source: Annotated[Path, typer.Argument(help="Folder with meta_*.jsonl, *.jsonl and, if there are any, images/")],
    raw: NewRawArgument,
    nights: NightsOption = 3,
    last_night: LastNightOption = "2026-11-07",
) -> None:
    """Amazon Reviews 2023: products as items, reviews as interactions."""
    from jobs.landing.amazon import write_landing_zone

    typer.echo(write_landing_zone(source, raw, nights=nights, last_night=day_of(last_night, option="--last-night")))


@sources.command("microlens")
def microlens(
    source: Annotated[Path, typer.Argument(help="Folder with MicroLens-*_pairs.csv, titles, covers, audios, videos")],
    raw: NewRawArgument,
    nights: NightsOption = 3,
    last_night: LastNightOption = "2026-11-07",
) -> None:
    """MicroLens: films with title, cover, sound and picture as items, pairs as likes."""
    from jobs.landing.microlens import write_landing_zone

    typer.echo(write_landing_zone(source, raw, nights=nights, last_night=day_of(last_night, option="--last-night")))


@sources.command("mmrec")
def mmrec(
    source: Annotated[Path, typer.Argument(help="Folder with one *.inter, image_feat.npy, text_feat.npy")],
    raw: NewRawArgument,
    ratings: Annotated[
        bool, typer.Option(help="Take ratings as ratings, of which low ones are no likes; else every row is a like")
    ] = False,
    nights: NightsOption = 1,
    last_night: LastNightOption = "2026-11-07",
) -> None:
    """Data sets of the research field as MMRec lays them out: likes, and the items' vectors of each modality."""
    from jobs.landing.importing import CONFIGURATION
    from jobs.landing.mmrec import write_landing_zone

    day = day_of(last_night, option="--last-night")
    typer.echo(write_landing_zone(source, raw, ratings=ratings, nights=nights, last_night=day))
    typer.echo(f"nights take these vectors with --config {raw / CONFIGURATION}:")
    typer.echo((raw / CONFIGURATION).read_text("utf-8"), nl=False)


@sources.command("folder")
def folder(
    source: Annotated[Path, typer.Argument(help="Folder with one CSV of items, images/, audio/, video/")],
    raw: NewRawArgument,
    columns: Annotated[str, typer.Option(help="Columns of another name: source=contract,...")] = "",
    nights: NightsOption = 1,
    last_night: Annotated[
        str | None, typer.Option(help="The last night; unless given, the day of the last event")
    ] = None,
) -> None:
    """A CSV of items, media files named by item, and optionally interactions.csv."""
    from jobs.landing.folder import parse_columns, write_landing_zone

    day = None if last_night is None else day_of(last_night, option="--last-night")
    renamed = parse_columns(columns)
    typer.echo(write_landing_zone(source, raw, columns=renamed, nights=nights, last_night=day))


@app.command()
def night(
    date_: DateOption,
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
    force_extraction: Annotated[
        bool, typer.Option("--force-extraction", help="Extract the night's contents again; their rows are replaced")
    ] = False,
    skip_publishing: Annotated[
        bool, typer.Option("--skip-publishing", help="Stop after the evaluation, with nothing of the night published")
    ] = False,
    without_data: Annotated[bool, typer.Option("--without-data", help="The night is known to bring no data")] = False,
    allow_shrinking: Annotated[
        bool,
        typer.Option("--allow-shrinking", help="Most of the night's rows, or of a modality, may go that were there"),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the log of all steps, as where the output is no terminal")
    ] = False,
) -> None:
    """Run the nightly DAG for one date in this process, without a scheduler."""
    from jobs.run_dag import run_nightly
    from jobs.runtime.terminal import step_lines

    params = {
        "force_extraction": force_extraction,
        "skip_publishing": skip_publishing,
        "without_data": without_data,
        "allow_shrinking": allow_shrinking,
    }
    checked = _checked(Night.of(date_=date_, raw=raw, lake=lake, config=config))
    if verbose or not sys.stdout.isatty():
        run_nightly(checked, params, config=config)
    else:
        with step_lines() as lines:
            run_nightly(checked, params, config=config, lines=lines)
    if not skip_publishing:
        typer.echo(f"The report: {checked.lake.uri.removeprefix('file://')}/reports/{checked.ds}.html")


@app.command("check-config")
def check_config(
    file: Annotated[
        str | None, typer.Argument(help="YAML file or profile (env: NIGHTWEAVE_CONFIG; default: embedded)")
    ] = None,
) -> None:
    """Print every setting with its value and where it comes from; a name or value that cannot be is an error."""
    from jobs.runtime.check_config import check, settings

    path, given = read(config_source(file))
    config = load(path)
    check(config)
    source = f"profile conf/{path.name}" if path.parent == PROFILES else str(path)
    for line in settings(config.model_dump(mode="json"), given, source=source):
        typer.echo(line)
    typer.echo(f"{source} is valid")


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over the lake's tables")],
    format_: Annotated[str, typer.Option("--format", help="table, csv, json or parquet")] = "table",
    rows: Annotated[int | None, typer.Option(help="Rows that are answered at most", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="How long it may take", min=0.001)] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Memory that it may take", min=64)] = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask the tables in SQL, read-only, through DuckDB; its limits are those of the configuration unless given."""
    from jobs.query import answer

    limits = load(config_source(config)).query
    given = {"rows": rows, "seconds": seconds, "memory_mib": memory_mib}
    limits = limits.model_copy(update={name: value for name, value in given.items() if value is not None})
    answer(sql, existing_lake(lake), format_=format_, limits=limits)


@app.command()
def compare(
    date_: DateOption,
    splits: Annotated[str, typer.Option(help="Kinds of split, by commas")] = "per_user,cold_items",
    core: Annotated[int, typer.Option(help="Leave out users and items with fewer likes, and all else", min=0)] = 0,
    strategies: Annotated[str, typer.Option(help="Only these, by commas")] = "",
    missing: Annotated[str, typer.Option(help="Only these policies for missing modalities, by commas")] = "",
    baselines: Annotated[str, typer.Option(help="Only these, by commas")] = "",
    variants: Annotated[str, typer.Option(help="Variants of the data, by commas, or all")] = "full",
    leave_out: Annotated[str, typer.Option(help="Scorers to leave out of a stack in turn, by commas, or all")] = "",
    seeds: Annotated[int, typer.Option(help="Seeds of training and of draws, for the spread of figures", min=1)] = 1,
    format_: Annotated[str, typer.Option("--format", help="table, csv, json or parquet")] = "table",
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """Every strategy, policy for missing modalities and baseline on the same splits, as a table; and on variants of the
    data the default strategy beside the main baselines."""
    import duckdb

    from fusion.models.stack.model import SCORERS
    from fusion.selection.variants import VARIANTS
    from jobs.compare import compare as compared
    from jobs.query import check_format, show

    check_format(format_)
    night = _checked(Night.of(date_=date_, raw=location("lake", lake), lake=lake, config=config))
    check_lake(night.lake)
    names = {"splits": splits, "strategies": strategies, "missing": missing, "baselines": baselines}
    names |= {"variants": variants, "leave_out": leave_out}
    everything = {"variants": VARIANTS, "leave_out": SCORERS}
    chosen = {
        option: everything[option] if option in everything and text == "all" else [n for n in text.split(",") if n]
        for option, text in names.items()
    }
    found = compared(night, least=core, seeds=seeds, **chosen)
    show(duckdb.from_arrow(found), format_=format_, limit=len(found))


@app.command()
def verify(lake: LakeOption = None) -> None:
    """Read every table and report which promises do not hold."""
    from jobs.verify import describe, findings

    looked, broken = findings(existing_lake(lake))
    for finding in broken:
        typer.echo(describe(finding))
    typer.echo(f"{looked} promises looked at, {len(broken)} broken")
    if any(finding.severity == "fail" for finding in broken):
        raise typer.Exit(1)


@app.command()
def repair(lake: LakeOption = None) -> None:
    """Take what is missing or damaged out of the tables, keep it aside, and say which nights to run again."""
    from jobs.repair import repair_lake

    for line in repair_lake(existing_lake(lake)):
        typer.echo(line)


@app.command()
def maintenance(
    dry_run: Annotated[bool, typer.Option(help="Only list what would be done")] = False,
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """Merge small files and remove what no published night needs; rows stay as they are."""
    from jobs.maintenance import maintain

    settings = load(config_source(config)).maintenance
    for done in maintain(existing_lake(lake), settings, now=datetime.now(UTC), dry_run=dry_run):
        typer.echo(done.words(dry_run=dry_run))


@app.command()
def report(date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None) -> None:
    """Write the night's report: one HTML file that opens offline; with RAW, also the pictures of items."""
    from jobs.landing.raw import Raw
    from jobs.report import write_report

    night, tables = day_of(date_), existing_lake(lake)
    pictures = Raw(location("raw", raw)) if raw or os.environ.get("NIGHTWEAVE_RAW") else None
    settings = load(config_source(config)).evaluate
    typer.echo(write_report(tables, night, warn_lost_share=settings.warn_lost_share, raw=pictures))


@app.command()
def explain(
    date_: DateOption,
    user: Annotated[str | None, typer.Option(help="The user; the first few unless given")] = None,
    item: Annotated[str | None, typer.Option(help="One item of the user's shelves; all of them unless given")] = None,
    places: Annotated[int | None, typer.Option(help="Down to which place", min=1)] = None,
    lake: LakeOption = None,
) -> None:
    """Why these recommendations: what history and each modality add to the score."""
    from jobs.explain import explain_shelves

    typer.echo(explain_shelves(existing_lake(lake), day_of(date_), user=user, item=item, places=places))


@exports.command("mmrec")
def mmrec_files(
    directory: Annotated[Path, typer.Argument(help="Folder to write to, new or empty; its name is the data set's")],
    date_: DateOption,
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """What a night's models learn from, for MMRec: likes in three parts, and the items' vectors."""
    from jobs.export import export_mmrec

    night = _checked(Night.of(date_=date_, raw=location("lake", lake), lake=lake, config=config))
    check_lake(night.lake)
    typer.echo(export_mmrec(night, directory))


@steps.callback()
def log_to_stdout() -> None:
    """Steps write what they do to standard output, which Airflow keeps as the task's log."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stdout)
    for noisy in ("py4j", "nightweave.deltalake"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@steps.command("clean")
def clean_step(
    date_: DateOption,
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
    publish: PublishOption = True,
    without_data: WithoutDataOption = False,
    allow_shrinking: AllowShrinkingOption = False,
) -> None:
    """Bring the night's raw partitions into the lake; the first step, so it checks the configuration."""
    from jobs.clean import run

    night = _checked(Night.of(date_=date_, raw=raw, lake=lake, config=config))
    run(night, publish=publish, without_data=without_data, allow_shrinking=allow_shrinking)


@steps.command("extract")
def extract_step(
    date_: DateOption,
    modality: ModalityOption,
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
    again: Annotated[bool, typer.Option(help="Extract what the night brings although the store has it")] = False,
) -> None:
    """Extract the features of one modality that the store lacks."""
    from jobs.extract import run
    from jobs.runtime.agreement import check_agreement

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config)
    check_agreement(night, encoders=[modality])
    run(night, modality=modality, again=again)


@steps.command("reextract")
def reextract_step(
    date_: DateOption,
    modality: ModalityOption,
    chunk: Annotated[int, typer.Option(help="How many contents are committed at a time", min=1)],
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """Extract one modality of all content under a changed encoder; no step of a night."""
    from jobs.reextract import run

    run(_checked(Night.of(date_=date_, raw=raw, lake=lake, config=config)), modality=modality, chunk=chunk)


@steps.command("train")
def train_step(date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None) -> None:
    """Choose the night's strategy and train its model."""
    from jobs.runtime.agreement import check_agreement
    from jobs.train import run

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config)
    check_agreement(night)
    run(night)


@steps.command("evaluate")
def evaluate_step(
    date_: DateOption,
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
    publish: PublishOption = True,
    allow_shrinking: AllowShrinkingOption = False,
) -> None:
    """Judge the night's model, and embed users and items with the one that serves."""
    from jobs.evaluate import run
    from jobs.runtime.agreement import check_agreement

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config)
    check_agreement(night)
    run(night, publish=publish, allow_shrinking=allow_shrinking)


@steps.command("recommend")
def recommend_step(
    date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None
) -> None:
    """Write every user's shelves and every item's neighbours."""
    from jobs.recommend import run
    from jobs.runtime.agreement import check_agreement

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config)
    check_agreement(night, encoders=())
    run(night)


@steps.command("verify")
def verify_step(date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None) -> None:
    """Read every table; a promise that does not hold fails the night."""
    from jobs.verify import run

    run(Night.of(date_=date_, raw=raw, lake=lake, config=config))


@steps.command("report")
def report_step(date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None) -> None:
    """Write the night's report."""
    from jobs.report import run

    run(Night.of(date_=date_, raw=raw, lake=lake, config=config))


def _checked(night: Night) -> Night:
    """The same night, once everything that its configuration names was found.

    Raises:
        ConfigError: something was not found, or does not fit.
    """
    from jobs.runtime.check_config import check

    check(night.config)
    return night


def main() -> None:
    """Run the command line of this process, which ends with it; spark-submit runs this file too."""
    with user_errors():
        try:
            code = app(prog_name="nightweave", standalone_mode=False)
        except typer.TyperException as error:
            mistake = " ".join(error.format_message().split())
            if not mistake:  # no command was given, and the help was printed
                sys.exit(error.exit_code)
            raise UserError(f"{mistake} (nightweave --help lists commands and options)") from None
    sys.exit(code)


if __name__ == "__main__":
    main()
