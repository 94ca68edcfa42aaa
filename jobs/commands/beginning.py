"""What comes before a first night: data to try, a project of one's own, and whether all is as it should be."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.options import ConfigOption, DateOption, LakeOption, RawOption, example
from jobs.runtime.night import config_source, day_of, location
from schemas.config import PROFILES, load, read

beginning = typer.Typer()


@beginning.command("demo-data", epilog=example("demo-data RAW --items 240 --users 200"))
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


@beginning.command(epilog=example("init shop"))
def init(folder: Annotated[Path, typer.Argument(help="Folder to write to, new or empty")]) -> None:
    """Begin a project of one's own: a configuration, a small catalog in every record format, a page to start with."""
    from jobs.setup.project import write_project

    write_project(folder)
    typer.echo(f"A project is in {folder}; its README.md leads to the first night in ten minutes")


@beginning.command(epilog=example("doctor --raw RAW --lake LAKE"))
def doctor(
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
    tensorflow: Annotated[bool, typer.Option("--tensorflow", help="Ask TensorFlow for GPUs, too: seconds")] = False,
) -> None:
    """Say what this machine has and lacks for a night, and what to do; exit code 1 if a night cannot run."""
    from jobs.setup.doctor import examine

    lacking = 0
    for finding in examine(raw=raw, lake=lake, config=config, tensorflow=tensorflow):
        typer.echo(str(finding))
        lacking += finding.state == "missing"
    if lacking:
        raise typer.Exit(1)


@beginning.command("check", epilog=example("check RAW --date 2026-11-01"))
def check_raw(
    date_: DateOption,
    place: Annotated[str | None, typer.Argument(metavar="RAW", help="Landing zone; --raw says the same")] = None,
    raw: RawOption = None,
    media: Annotated[bool, typer.Option(help="Whether to read the files that items point to")] = True,
    config: ConfigOption = None,
) -> None:
    """Say what a night would refuse, column by column, without a night; exit code 1 if the night would fail."""
    from jobs.setup.check import check_landing_zone

    logging.getLogger("nightweave").addHandler(logging.NullHandler())  # what is warned of is in the answer
    report = check_landing_zone(
        location("raw", place or raw), date_=date_, config=load(config_source(config)), media=media
    )
    for line in report.lines:
        typer.echo(line)
    for failure in report.failures:
        typer.echo(f"the night would fail: {failure}")
    if report.failures:
        raise typer.Exit(1)
    typer.echo("the night would take this")


@beginning.command("check-config", epilog=example("check-config night.yaml"))
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
