"""The `nightweave` command: what people run, and as `nightweave step` the steps of the night that the DAG runs."""

import json
import logging
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from getpass import getuser
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.beginning import beginning
from jobs.commands.imports import sources
from jobs.commands.options import (
    ActorOption,
    ConfigOption,
    DateOption,
    LakeOption,
    RawOption,
    ReasonOption,
    example,
    validated,
)
from jobs.commands.steps import steps
from jobs.runtime.night import (
    Night,
    UserError,
    check_lake,
    check_writable,
    config_source,
    day_of,
    existing_lake,
    location,
    user_errors,
)
from lake import staging
from schemas.config import load
from schemas.errors import did_you_mean

# Modules that take long to import (Spark, TensorFlow, DuckDB) are imported by the commands that need them.
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=example("night --date 2026-11-01 --raw RAW --lake LAKE"),
)
exports = typer.Typer(
    help="Write a night's data for the tools of others.",
    no_args_is_help=True,
    epilog=example("export mmrec baby --date 2026-11-01 --lake LAKE"),
)
app.add_typer(beginning)
app.add_typer(sources, name="import")
app.add_typer(exports, name="export")
app.add_typer(steps, name="step")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nightweave {version('nightweave')}")
        raise typer.Exit


@app.callback()
def options_of_all(
    version_: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    """A nightly batch pipeline for multimodal recommendation."""


@app.command(epilog=example("night --date 2026-11-01 --raw RAW --lake LAKE"))
def night(
    date_: DateOption,
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
    force_extraction: Annotated[
        bool, typer.Option("--force-extraction", help="Extract the night's contents again; their rows are replaced")
    ] = False,
    skip_publishing: Annotated[
        bool, typer.Option("--skip-publishing", help="Leave the night staged: readers see what they saw before")
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
    from jobs.runtime.arrival import check_arrived
    from jobs.runtime.terminal import step_lines

    params = {
        "force_extraction": force_extraction,
        "skip_publishing": skip_publishing,
        "without_data": without_data,
        "allow_shrinking": allow_shrinking,
    }
    checked = validated(Night.of(date_=date_, raw=raw, lake=lake, config=config))
    check_writable(checked.lake)
    check_arrived(checked, without_data=without_data)
    if verbose or not sys.stdout.isatty():
        run_nightly(checked, params, config=config)
    else:
        with step_lines() as lines:
            run_nightly(checked, params, config=config, lines=lines)
    if not skip_publishing:
        typer.echo(f"The report: {checked.lake.uri.removeprefix('file://')}/reports/{checked.ds}.html")


@app.command(epilog=example("plan --from 2026-11-01 --to 2026-11-03 --raw RAW --lake LAKE"))
def plan(
    first: Annotated[str, typer.Option("--from", help="The first night, YYYY-MM-DD")],
    last: Annotated[str | None, typer.Option("--to", help="The last night; the first one unless given")] = None,
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Plan complete nights too, as if they ran again")] = False,
    force_extraction: Annotated[
        bool, typer.Option("--force-extraction", help="As of nightweave night: contents are extracted again")
    ] = False,
    without_data: Annotated[bool, typer.Option("--without-data", help="The nights may bring no data")] = False,
    allow_shrinking: Annotated[
        bool, typer.Option("--allow-shrinking", help="Most of a night's rows may go that were there")
    ] = False,
    reread: Annotated[
        bool, typer.Option("--reread", help="Read RAW, media too, even where its record files are as a night left them")
    ] = False,
    format_: Annotated[str, typer.Option("--format", help="table or json")] = "table",
) -> None:
    """Say what running nights would do, and why, before anything runs; nothing is written."""
    from jobs.planning.plan import Wanted
    from jobs.planning.plan import plan as planned
    from jobs.planning.showing import FORMATS

    if format_ not in FORMATS:
        near = did_you_mean(format_, FORMATS)
        raise UserError(f"--format {format_!r} is unknown; {near}expected one of {', '.join(FORMATS)}")
    begins = validated(Night.of(date_=first, option="--from", raw=raw, lake=lake, config=config))
    ends = begins.date if last is None else day_of(last, option="--to")
    if ends < begins.date:
        raise UserError(f"--to {ends} is before --from {begins.ds}; give the first night, then the last")
    logging.getLogger("nightweave").addHandler(logging.NullHandler())  # what is warned of is in the plan
    wanted = Wanted(everything, force_extraction, without_data, allow_shrinking, reread)
    typer.echo(FORMATS[format_](planned(begins, ends, wanted)))


@app.command(epilog=example("query 'SELECT title FROM items LIMIT 5' --lake LAKE --format csv"))
def query(
    sql: Annotated[
        str | None,
        typer.Argument(help="One SELECT over the tables and views, - to read it from standard input; else a shell"),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="File with the SQL")] = None,
    staged: Annotated[str | None, typer.Option(metavar="DATE", help="Of a night what its run has staged")] = None,
    format_: Annotated[str, typer.Option("--format", help="table, csv, json or parquet")] = "table",
    rows: Annotated[int | None, typer.Option(help="Rows that are answered at most", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="How long it may take", min=0.001)] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Memory that it may take", min=64)] = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask the tables in SQL, read-only, through DuckDB; its limits are those of the configuration unless given."""
    from jobs.query import answer, given, shell

    limits = load(config_source(config)).query
    options = {"rows": rows, "seconds": seconds, "memory_mib": memory_mib}
    limits = limits.model_copy(update={name: value for name, value in options.items() if value is not None})
    place, text = existing_lake(lake), given(sql, file)
    if staged:
        place = staging.as_of(place, day_of(staged, option="--staged"))
    if text is None:
        shell(place, format_=format_, limits=limits)
    else:
        answer(text, place, format_=format_, limits=limits)


@app.command(epilog=example("describe --format dbt"))
def describe(
    format_: Annotated[str, typer.Option("--format", help="markdown, json, or dbt for its sources.yml")] = "markdown",
) -> None:
    """Print the tables and views: grain, columns with their descriptions, and what the values of columns mean."""
    from schemas.describe import FORMATS

    if format_ not in FORMATS:
        raise UserError(f"--format {format_!r} is unknown; expected one of {', '.join(FORMATS)}")
    typer.echo(FORMATS[format_](), nl=False)


@app.command(epilog=example("compare --date 2026-11-01 --lake LAKE --splits per_user"))
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
    night = validated(Night.of(date_=date_, raw=location("lake", lake), lake=lake, config=config))
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


@app.command(epilog=example("verify --lake LAKE"))
def verify(
    staged: Annotated[str | None, typer.Option(metavar="DATE", help="Only a night, with what is staged of it")] = None,
    lake: LakeOption = None,
) -> None:
    """Read every table and report which promises do not hold."""
    from jobs.verify import describe, findings

    there = existing_lake(lake)
    night = staged and day_of(staged, option="--staged").isoformat()
    looked, broken = findings(staging.as_of(there, night), night) if night else findings(there)
    for finding in broken:
        typer.echo(describe(finding))
    typer.echo(f"{looked} promises looked at, {len(broken)} broken")
    if any(finding.severity == "fail" for finding in broken):
        raise typer.Exit(1)


@app.command(epilog=example("publish --date 2026-11-01 --lake LAKE"))
def publish(date_: DateOption, reason: ReasonOption = None, actor: ActorOption = None, lake: LakeOption = None) -> None:
    """Show readers a night that is staged, or that was rolled back; a reason overrules its audit."""
    from lake.publication import publish as publish_night

    done = publish_night(existing_lake(lake), day_of(date_).isoformat(), actor=actor or getuser(), reason=reason)
    typer.echo(f"{done.date} is published: change {done.number}, model {done.model_version}")


@app.command(epilog=example("rollback --date 2026-11-01 --lake LAKE --reason 'prices were wrong'"))
def rollback(
    date_: DateOption,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the table published")],
    actor: ActorOption = None,
    lake: LakeOption = None,
) -> None:
    """Take readers of a night back to what they saw before it was last published."""
    from lake.publication import rollback as roll_back

    done = roll_back(existing_lake(lake), day_of(date_).isoformat(), actor=actor or getuser(), reason=reason)
    seen = f"as before, model {done.model_version}" if done.model_version else "no more: readers see nothing of it"
    typer.echo(f"{done.date} is rolled back: change {done.number}; it is there {seen}")


@app.command(epilog=example("discard --date 2026-11-01 --lake LAKE"))
def discard(date_: DateOption, lake: LakeOption = None) -> None:
    """Give up what a run has staged of a night; readers see what they saw before, and later nights wait no longer."""
    from jobs.runtime import agreement

    there, night = existing_lake(lake), day_of(date_).isoformat()
    if night not in staging.nights(there):
        raise UserError(f"nothing of the night {night} is staged; staged: {', '.join(staging.nights(there)) or 'none'}")
    staging.discard(there, night)
    agreement.forget(there, night)
    typer.echo(f"what was staged of {night} is given up")


@app.command(epilog=example("repair --lake LAKE"))
def repair(lake: LakeOption = None) -> None:
    """Take what is missing or damaged out of the tables, keep it aside, and say which nights to run again."""
    from jobs.repair import repair_lake

    for line in repair_lake(existing_lake(lake)):
        typer.echo(line)


@app.command(epilog=example("forget --user user-00007 --lake LAKE"))
def forget(
    user: Annotated[str | None, typer.Option(help="The user, as user_id has it")] = None,
    item: Annotated[str | None, typer.Option(help="The item, as item_id has it")] = None,
    raw: Annotated[
        str | None, typer.Option("--raw", help="Landing zone that it is taken out of, too; never from the environment")
    ] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Then run the nights again that knew it, on --raw or NIGHTWEAVE_RAW")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    format_: Annotated[str, typer.Option("--format", help="text or json")] = "text",
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """Take a user or an item out of the lake for good, with all that was learnt from it; exit code 1 where its id is
    left in a file. No night may run meanwhile."""
    from jobs import forget as forgetting
    from jobs.landing.raw import Raw
    from lake.forgotten import Subject

    if (user is None) == (item is None):
        raise UserError("one of --user and --item is expected, and not both")
    if format_ not in ("text", "json"):
        raise UserError(f"--format {format_!r} is unknown; expected text or json")
    subject = Subject("user", user) if user is not None else Subject("item", str(item))
    settings, tables = load(config_source(config)).clean, existing_lake(lake)
    check_writable(tables)
    zone = Raw(location("raw", raw), settings.record_files) if raw else None
    rerun_on = location("raw", raw) if rerun else None
    planned = forgetting.plan(tables, subject, settings, raw=zone)
    if not yes:
        typer.echo("\n".join(planned.words()), err=True)
        if not sys.stdin.isatty():
            raise UserError("nothing was changed: this deletes for good; look at what is named above, then give --yes")
        if not typer.confirm("Delete this for good?", err=True):
            raise UserError("nothing was changed")
    done = forgetting.forget(tables, subject, settings, planned, raw=zone, now=datetime.now(UTC))
    if rerun_on:
        forgetting.run_again(tables, done.nights, raw=rerun_on, config=config)
        done = forgetting.certify(tables, subject, raw=zone, now=datetime.now(UTC))
    to_run = forgetting.to_run(tables, done.nights)
    if format_ == "json":
        typer.echo(json.dumps(asdict(done) | {"to_run": to_run}, indent=1, sort_keys=True))
    else:
        typer.echo("\n".join(done.words(to_run)))
    if done.found:
        raise typer.Exit(1)


@app.command(epilog=example("maintenance --lake LAKE --dry-run"))
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


@app.command(epilog=example("report --date 2026-11-01 --raw RAW --lake LAKE"))
def report(date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None) -> None:
    """Write the night's report: one HTML file that opens offline; with RAW, also the pictures of items."""
    from jobs.landing.raw import Raw
    from jobs.report import write_report

    night = day_of(date_)
    tables = staging.as_of(existing_lake(lake), night)
    pictures = Raw(location("raw", raw)) if raw or os.environ.get("NIGHTWEAVE_RAW") else None
    settings = load(config_source(config)).evaluate
    typer.echo(write_report(tables, night, warn_lost_share=settings.warn_lost_share, raw=pictures))


@app.command(epilog=example("explain --date 2026-11-01 --lake LAKE --user user-00007 --places 3"))
def explain(
    date_: DateOption,
    user: Annotated[str | None, typer.Option(help="The user; the first few unless given")] = None,
    item: Annotated[str | None, typer.Option(help="One item of the user's shelves; all of them unless given")] = None,
    places: Annotated[int | None, typer.Option(help="Down to which place", min=1)] = None,
    without_likes: Annotated[
        bool, typer.Option("--without-likes", help="Say where each item would stand without one like of the user's")
    ] = False,
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """Why these recommendations: what history and each modality add to the score, and, if asked, which likes it rests
    on."""
    from jobs.explain import explain_shelves

    night = Night.of(date_=date_, raw=location("lake", lake), lake=lake, config=config)
    check_lake(night.lake)
    typer.echo(explain_shelves(night, user=user, item=item, places=places, without_likes=without_likes))


@app.command(epilog=example('similar --text "a red lamp" --lake LAKE'))
def similar(
    item: Annotated[str | None, typer.Option(help="An item of the catalog")] = None,
    text: Annotated[str | None, typer.Option(help="Words")] = None,
    image: Annotated[Path | None, typer.Option(help="A picture file", exists=True, dir_okay=False)] = None,
    date_: Annotated[str | None, typer.Option("--date", help="The night; the last one unless given")] = None,
    k: Annotated[int, typer.Option(help="How many", min=1)] = 10,
    format_: Annotated[str, typer.Option("--format", help="table, csv, json or parquet")] = "table",
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """Items that are like one of the catalog, by all that they consist of, or whose texts or pictures are like one."""
    from jobs.query import check_format
    from jobs.similar import similar_to_content, similar_to_item

    check_format(format_)
    night = None if date_ is None else day_of(date_)
    place = existing_lake(lake)
    if sum(given is not None for given in (item, text, image)) != 1:
        raise UserError("one of --item, --text and --image is expected, and no other of them")
    if item is not None:
        similar_to_item(place, item, night=night, k=k, format_=format_)
    elif text is not None:
        similar_to_content(place, "text", text, load(config_source(config)), night=night, k=k, format_=format_)
    else:
        assert image
        similar_to_content(place, "image", image, load(config_source(config)), night=night, k=k, format_=format_)


@exports.command("mmrec", epilog=example("export mmrec baby --date 2026-11-01 --lake LAKE"))
def mmrec_files(
    directory: Annotated[Path, typer.Argument(help="Folder to write to, new or empty; its name is the data set's")],
    date_: DateOption,
    lake: LakeOption = None,
    config: ConfigOption = None,
) -> None:
    """What a night's models learn from, for MMRec: likes in three parts, and the items' vectors."""
    from jobs.export import export_mmrec

    night = validated(Night.of(date_=date_, raw=location("lake", lake), lake=lake, config=config))
    check_lake(night.lake)
    typer.echo(export_mmrec(night, directory))


@exports.command("duckdb", epilog=example("export duckdb warehouse.duckdb --lake LAKE"))
def duckdb_file(
    file: Annotated[Path, typer.Argument(help="File to write, in the place of the one that may be there")],
    lake: LakeOption = None,
) -> None:
    """A DuckDB file of views over the tables, for its shell, DBeaver and notebooks; write it anew after each night."""
    from lake.warehouse import OPENS_WITH, write

    try:
        write(existing_lake(lake), file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}") from None
    typer.echo(f"{file} opens with DuckDB {OPENS_WITH} or later; it shows the lake as of now")


def _mistake(error: typer.TyperException) -> str:
    """What a command line gets wrong, in one line, with the nearest choice to a value that is none."""
    said = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    given, _, choices = said.partition(" is not one of ")
    near = did_you_mean(given.split("'")[-2], choices.split("'")[1::2]) if choices else ""
    return f"{said}; {near}".strip("; ")


def main() -> None:
    """Run the command line of this process, which ends with it; spark-submit runs this file too."""
    with user_errors():
        try:
            code = app(prog_name="nightweave", standalone_mode=False)
        except typer.TyperException as error:
            mistake = _mistake(error)
            if not mistake:  # no command was given, and the help was printed
                sys.exit(error.exit_code)
            raise UserError(f"{mistake} (nightweave --help lists commands and options)") from None
    sys.exit(code)


if __name__ == "__main__":
    main()
