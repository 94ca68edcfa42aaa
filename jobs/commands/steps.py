"""`nightweave step`: the steps of a night, as the tasks of the nightly DAG run them."""

import logging
import sys
from typing import Annotated

import typer

from jobs.commands.options import (
    AllowShrinkingOption,
    ConfigOption,
    DateOption,
    LakeOption,
    ModalityOption,
    PublishOption,
    RawOption,
    WithoutDataOption,
    example,
    validated,
)
from jobs.runtime.costs import accounted
from jobs.runtime.night import Night

steps = typer.Typer(
    help="Run one step of a night, as a task of the nightly DAG does.",
    no_args_is_help=True,
    epilog=example("step clean --date 2026-11-01"),
)


@steps.callback()
def log_to_stdout() -> None:
    """Steps write what they do to standard output, which Airflow keeps as the task's log."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stdout)
    for noisy in ("py4j", "nightweave.deltalake"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@steps.command("clean", epilog=example("step clean --date 2026-11-01 --raw RAW --lake LAKE"))
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

    night = validated(Night.of(date_=date_, raw=raw, lake=lake, config=config, staged=True))
    with accounted(night, "clean"):
        run(night, publish=publish, without_data=without_data, allow_shrinking=allow_shrinking)


@steps.command("extract", epilog=example("step extract --date 2026-11-01 --raw RAW --lake LAKE --modality image"))
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

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config, staged=True)
    with accounted(night, "extract", modality):
        check_agreement(night, encoders=[modality])
        run(night, modality=modality, again=again)


@steps.command(
    "reextract", epilog=example("step reextract --date 2026-11-01 --raw RAW --lake LAKE --modality image --chunk 1000")
)
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

    night = validated(Night.of(date_=date_, raw=raw, lake=lake, config=config))
    with accounted(night, "reextract", modality):
        run(night, modality=modality, chunk=chunk)


@steps.command("train", epilog=example("step train --date 2026-11-01 --raw RAW --lake LAKE"))
def train_step(date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None) -> None:
    """Choose the night's strategy and train its model."""
    from jobs.runtime.agreement import check_agreement
    from jobs.train import run

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config, staged=True)
    with accounted(night, "train"):
        check_agreement(night)
        run(night)


@steps.command("evaluate", epilog=example("step evaluate --date 2026-11-01 --raw RAW --lake LAKE"))
def evaluate_step(
    date_: DateOption,
    raw: RawOption = None,
    lake: LakeOption = None,
    config: ConfigOption = None,
    allow_shrinking: AllowShrinkingOption = False,
) -> None:
    """Judge the night's model, and embed users and items with the one that serves."""
    from jobs.evaluate import run
    from jobs.runtime.agreement import check_agreement

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config, staged=True)
    with accounted(night, "evaluate"):
        check_agreement(night)
        run(night, allow_shrinking=allow_shrinking)


@steps.command("recommend", epilog=example("step recommend --date 2026-11-01 --raw RAW --lake LAKE"))
def recommend_step(
    date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None
) -> None:
    """Write every user's shelves and every item's neighbours."""
    from jobs.recommend import run
    from jobs.runtime.agreement import check_agreement

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config, staged=True)
    with accounted(night, "recommend"):
        check_agreement(night, encoders=())
        run(night)


@steps.command("verify", epilog=example("step verify --date 2026-11-01 --raw RAW --lake LAKE"))
def verify_step(date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None) -> None:
    """Read every table; a promise that does not hold fails the night."""
    from jobs.verify import run

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config, staged=True)
    with accounted(night, "verify"):
        run(night)


@steps.command("report", epilog=example("step report --date 2026-11-01 --raw RAW --lake LAKE"))
def report_step(date_: DateOption, raw: RawOption = None, lake: LakeOption = None, config: ConfigOption = None) -> None:
    """Write the night's report."""
    from jobs.report import run

    night = Night.of(date_=date_, raw=raw, lake=lake, config=config, staged=True)
    with accounted(night, "report"):
        run(night)
