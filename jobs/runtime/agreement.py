"""What the steps of one run of a night agree on: the configuration, the encoders that it resolves to, and the code.

The first step records it in the lake; a later step that finds itself under another would mix what two runs made, such
as a model of encoders that have extracted nothing. Beside it stand the raw files that the first step found, so that a
plan can say what has changed since.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs

from features.registry import vector_blocks
from jobs.runtime.code import code_fingerprint
from jobs.runtime.night import Night, NightError
from lake import files, storage
from lake.lake import Lake
from schemas.table import MEDIA, Medium

FOLDER = "runs"
READ_LATER = frozenset({"events", "clean", "extract", "fusion", "evaluate", "recommend"})
"""Sections of the configuration that rows depend on after the first step has begun."""
RAW = "raw"
SHOWN = 5
Landed = Mapping[str, list[int | None]]
"""Raw files by their paths, as `jobs.runtime.arrival.landed` finds them."""


@dataclass(frozen=True)
class Difference:
    """A setting, the vectors of a modality, or the code, that is not what it was when the first step began.

    Attributes:
        place: such as `config.fusion.seed`, `encoders.image` or `code`.
    """

    place: str
    before: Any
    now: Any

    def __str__(self) -> str:
        if self.place == "code":
            return "the code"
        return f"{self.place.removeprefix('config.')} was {self.before!r:.80}, is {self.now!r:.80}"


def begin(night: Night, *, raw: Landed | None = None) -> None:
    """Record what the steps of this run agree on, in place of what an earlier run of the night did.

    Args:
        raw: the raw files that it found; None where nobody has looked.
    """
    files.write_json(night.lake, _path(night.ds), {**now(night), RAW: raw})


def recorded(night: Night) -> dict[str, Any] | None:
    """What `begin` recorded of the last run of the night: `encoders`, `config`, `code` and `raw`; None where none did,
    or its run was given up."""
    found: dict[str, Any] | None = files.read_json(night.lake, _path(night.ds))
    return found


def forget(lake: Lake, night: str) -> None:
    """Take back what the last run of the night `YYYY-MM-DD` recorded, as it was given up: what is published of the
    night is of another."""
    filesystem, root = storage.filesystem(lake.uri)
    if filesystem.get_file_info(f"{root}/{_path(night)}").type == pafs.FileType.File:
        filesystem.delete_file(f"{root}/{_path(night)}")


def now(night: Night, *, encoders: Iterable[Medium] = MEDIA) -> dict[str, Any]:
    """What a run of the night would agree on as of now: `encoders` of those modalities, `config` and `code`.

    It is the same for every night under one configuration. Weights are read for it.
    """
    blocks = vector_blocks({m: night.config.extract.encoders[m] for m in encoders})
    return {
        "encoders": {m: [block.name for block in several] for m, several in blocks.items()},
        "config": night.config.model_dump(mode="json", include=set(READ_LATER)),
        "code": code_fingerprint(),
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What has changed between `recorded` and `now`, of the modalities that the latter has."""
    encoders = {medium: before["encoders"].get(medium) for medium in after["encoders"]}
    return list(_differences({**{name: before[name] for name in after}, "encoders": encoders}, after))


def check_agreement(night: Night, *, encoders: Iterable[Medium] = MEDIA) -> None:
    """See that this step runs under what the run's first step recorded.

    Args:
        encoders: modalities whose encoders the step reads vectors of, or makes them with.

    Raises:
        NightError: no first step was recorded, or it ran under another configuration, encoder or code; the message
            names the first few differences, and what to run again.
    """
    before = recorded(night)
    if before is None:
        raise _refusal(night, "its first step, `clean`, was not run by this version")
    if differ := differences(before, now(night, encoders=encoders)):
        more = f" and {len(differ) - SHOWN} more" if len(differ) > SHOWN else ""
        shown = "; ".join(map(str, differ[:SHOWN]))
        raise _refusal(night, f"since its first step, `clean`, this has changed: {shown}{more}")


def _differences(before: Any, now: Any, place: str = "") -> Iterator[Difference]:
    """One for each setting that differs."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(name), now.get(name), f"{place}.{name}".lstrip("."))
    elif before != now:
        yield Difference(place, before, now)


def _path(night: str) -> str:
    return f"{FOLDER}/{night}.json"


def _refusal(night: Night, why: str) -> NightError:
    return NightError(
        f"night {night.ds}: {why}. Steps of one run must agree. Run the night again from its first step (in Airflow: "
        "clear `clean` with what follows; what is extracted stays), or set back what has changed",
        law=1,
        partition=f"date={night.ds}",
    )
