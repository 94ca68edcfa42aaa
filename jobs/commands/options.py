"""Options that several commands have, and what a command does before its work."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.runtime.night import Night
from schemas.table import Medium

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
ReasonOption = Annotated[str | None, typer.Option(help="Why; it is kept in the table published")]
ActorOption = Annotated[str | None, typer.Option(help="Who does it; the user of this machine unless given")]
PublishOption = Annotated[bool, typer.Option(help="Whether what comes of the run is to be published")]


def example(words: str) -> str:
    """The last line of a command's help."""
    return f"Example: nightweave {words}"


def validated(night: Night) -> Night:
    """The same night, once everything that its configuration names was found.

    Raises:
        ConfigError: something was not found, or does not fit.
    """
    from jobs.runtime.check_config import check

    check(night.config)
    return night
