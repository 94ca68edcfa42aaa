"""The strategies by name; a fitted model is saved as a folder of a JSON file, arrays and, for some, a Keras model."""

import json
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

_DESCRIPTION, _ARRAYS = "strategy.json", "arrays.npz"


def strategy(name: str) -> type[Strategy]:
    """The class of a strategy.

    Raises:
        ValueError: no strategy has that name.
    """
    found: type[Strategy] = class_by_name("strategy", STRATEGIES, name)
    return found


def create(name: str, parameters: dict[str, Any] | None = None) -> Strategy:
    """An unfitted strategy.

    Raises:
        ValueError: no strategy has that name, or it takes no such parameter.
    """
    made: Strategy = create_by_name("strategy", STRATEGIES, name, parameters)
    return made


def save(model: Strategy, folder: Path) -> None:
    """Writes a fitted model into `folder`, which is created if needed."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / _ARRAYS, allow_pickle=False, **model.state())
    model.save_network(folder)
    description = {"strategy": model.name, "parameters": model.parameters()}
    (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n", "utf-8")


def load(folder: Path) -> Strategy:
    """Returns the model that `save` wrote. Nothing is unpickled.

    Raises:
        ValueError: the folder holds no model, or one whose strategy is not known.
    """
    folder = Path(folder)
    if not (folder / _DESCRIPTION).is_file():
        raise ValueError(f"{folder}: no model here (no {_DESCRIPTION})")
    description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
    model = create(description["strategy"], description["parameters"])
    with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
        model.restore(dict(arrays))
    model.load_network(folder)
    return model
