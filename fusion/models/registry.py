"""The strategies by name; a fitted model is saved as a folder of a JSON file, arrays and, for some, a Keras model."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from fusion.data.arguments import class_by_name, create_by_name
from fusion.models.base import Strategy

STRATEGIES = {
    "concatenation": "fusion.models.weighted:Concatenation",
    "content": "fusion.models.content:Content",
    "decision": "fusion.models.decision.model:Decision",
    "joint": "fusion.models.joint:Joint",
    "multitask": "fusion.models.multitask:Multitask",
    "stack": "fusion.models.stack.model:Stack",
    "weighted": "fusion.models.weighted:Weighted",
}
"""Name → module:class. The module is imported when the strategy is first used."""

FORMAT = 2
"""The layout in which `save` writes. 1, which has no number, kept the weights of trained models among the arrays."""

_DESCRIPTION, _ARRAYS = "strategy.json", "arrays.npz"


class FormatError(ValueError):
    """A model was stored in a layout that this version does not read."""


def strategy(name: str) -> type[Strategy]:
    """The class of the strategy of that name, or of one's own that is named as `module:Class`.

    Raises:
        ValueError: no strategy has that name.
    """
    found: type[Strategy] = class_by_name("strategy", STRATEGIES, name, base=Strategy)
    return found


def create(name: str, parameters: dict[str, Any] | None = None) -> Strategy:
    """An unfitted strategy.

    Raises:
        ValueError: no strategy has that name, or it takes no such parameter.
    """
    made: Strategy = create_by_name("strategy", STRATEGIES, name, parameters, base=Strategy)
    return made


def save(model: Strategy, folder: Path) -> None:
    """Writes a fitted model into `folder`, which is created if needed."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / _ARRAYS, allow_pickle=False, **model.state())
    model.save_network(folder)
    cls = type(model)
    place = f"{cls.__module__}:{cls.__qualname__}"
    name = next((name for name, known in STRATEGIES.items() if known == place), place)
    description = {"format": FORMAT, "strategy": name, "parameters": model.parameters()}
    (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n", "utf-8")


def load(folder: Path, *, own: Collection[str] = ()) -> Strategy:
    """Returns the model that `save` wrote. Nothing is unpickled, and nothing is imported that the folder alone names.

    Args:
        own: the strategies, named as `module:Class`, that may be loaded beside those of `STRATEGIES`.

    Raises:
        FormatError: it was stored by a later version, or by an earlier one whose strategies kept something else, or
            its class is one's own and not among `own`.
        ValueError: the folder holds no model.
        OSError, zipfile.BadZipFile: a file of it is missing or damaged.
    """
    folder = Path(folder)
    if not (folder / _DESCRIPTION).is_file():
        raise ValueError(f"{folder}: no model here (no {_DESCRIPTION})")
    description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
    if (found := description.get("format", 1)) > FORMAT:
        raise FormatError(f"format {found}, of a later version; this one reads up to {FORMAT}")
    name = description["strategy"]
    if ":" in name and name not in own:
        raise FormatError(f"a class of one's own, {name}, which is imported only where the configuration names it")
    with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
        arrays = dict(stored)
    try:
        model = create(name, description["parameters"])
        model.restore(arrays)
        model.load_network(folder)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        if found == FORMAT:
            raise ValueError(f"{folder}: cannot be read ({what})") from error
        raise FormatError(f"of an earlier version ({what})") from error
    return model
