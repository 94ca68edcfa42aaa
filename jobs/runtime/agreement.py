"""What the steps of one run of a night agree on: the configuration, the encoders that it resolves to, and the code.

The first step records it in the lake; a later step that finds itself under another would mix what two runs made, such
as a model of encoders that have extracted nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from features.registry import vector_blocks
from jobs.runtime.code import code_fingerprint
from jobs.runtime.night import Night, NightError
from lake import files
from schemas.table import MEDIA, Medium

FOLDER = "runs"
READ_LATER = frozenset({"events", "clean", "extract", "fusion", "evaluate", "recommend"})
"""Sections of the configuration that rows depend on after the first step has begun."""
SHOWN = 5


def begin(night: Night) -> None:
    """Record what the steps of this run agree on, in place of what an earlier run of the night did."""
    found = {"encoders": _encoders(night, MEDIA), **_resolved(night)}
    files.write_json(night.lake, _path(night), found)


def check_agreement(night: Night, *, encoders: Iterable[Medium] = MEDIA) -> None:
    """See that this step runs under what the run's first step recorded.

    Args:
        encoders: modalities whose encoders the step reads vectors of, or makes them with.

    Raises:
        NightError: no first step was recorded, or it ran under another configuration, encoder or code; the message
            names the first few differences, and what to run again.
    """
    recorded = files.read_json(night.lake, _path(night))
    if recorded is None:
        raise _refusal(night, "its first step, `clean`, was not run by this version")
    now = {"encoders": _encoders(night, encoders), **_resolved(night)}
    recorded["encoders"] = {m: recorded["encoders"].get(m) for m in now["encoders"]}
    if differ := list(_differences(recorded, now)):
        more = f" and {len(differ) - SHOWN} more" if len(differ) > SHOWN else ""
        raise _refusal(night, f"since its first step, `clean`, this has changed: {'; '.join(differ[:SHOWN])}{more}")


def _encoders(night: Night, media: Iterable[Medium]) -> dict[str, list[str]]:
    """Modality → the names of the blocks of vectors under the encoders of the configuration."""
    blocks = vector_blocks({m: night.config.extract.encoders[m] for m in media})
    return {m: [block.name for block in several] for m, several in blocks.items()}


def _resolved(night: Night) -> dict[str, Any]:
    return {"config": night.config.model_dump(mode="json", include=set(READ_LATER)), "code": code_fingerprint()}


def _differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """A phrase for each setting that differs."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(name), now.get(name), f"{place}.{name}".lstrip("."))
    elif before != now:
        yield "the code" if place == "code" else f"{place.removeprefix('config.')} was {before!r:.80}, is {now!r:.80}"


def _path(night: Night) -> str:
    return f"{FOLDER}/{night.ds}.json"


def _refusal(night: Night, why: str) -> NightError:
    return NightError(
        f"night {night.ds}: {why}. Steps of one run must agree. Run the night again from its first step (in Airflow: "
        "clear `clean` with what follows; what is extracted stays), or set back what has changed",
        law=1,
        partition=f"date={night.ds}",
    )
