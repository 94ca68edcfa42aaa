"""`nightweave import`: public data sets as landing zones."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.options import LastNightOption, NewRawArgument, NightsOption, example
from jobs.runtime.night import day_of

sources = typer.Typer(
    help="Lay a public data set out as a landing zone.", no_args_is_help=True, epilog=example("import folder shop RAW")
)


@sources.command("movielens", epilog=example("import movielens ml-latest-small RAW --nights 3"))
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


@sources.command("amazon", epilog=example("import amazon downloads/beauty RAW"))
def amazon(
    source: Annotated[Path, typer.Argument(help="Folder with meta_*.jsonl, *.jsonl and, if there are any, images/")],
    raw: NewRawArgument,
    nights: NightsOption = 3,
    last_night: LastNightOption = "2026-11-07",
) -> None:
    """Amazon Reviews 2023: products as items, reviews as interactions."""
    from jobs.landing.amazon import write_landing_zone

    typer.echo(write_landing_zone(source, raw, nights=nights, last_night=day_of(last_night, option="--last-night")))


@sources.command("microlens", epilog=example("import microlens MicroLens-50k RAW"))
def microlens(
    source: Annotated[Path, typer.Argument(help="Folder with MicroLens-*_pairs.csv, titles, covers, audios, videos")],
    raw: NewRawArgument,
    nights: NightsOption = 3,
    last_night: LastNightOption = "2026-11-07",
) -> None:
    """MicroLens: films with title, cover, sound and picture as items, pairs as likes."""
    from jobs.landing.microlens import write_landing_zone

    typer.echo(write_landing_zone(source, raw, nights=nights, last_night=day_of(last_night, option="--last-night")))


@sources.command("mmrec", epilog=example("import mmrec data/baby RAW"))
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


@sources.command("folder", epilog=example("import folder shop RAW --columns sku=item_id,name=title"))
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
