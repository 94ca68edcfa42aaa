"""The translators by name."""

from typing import Any

from fusion.crossmodal.translator import Translator
from fusion.data.arguments import create_by_name

TRANSLATORS = {
    "ridge": "fusion.crossmodal.ridge:Ridge",
    "vae": "fusion.crossmodal.variational:Variational",
}
"""Name → module:class. The module is imported when a translator is created."""


def create(name: str, parameters: dict[str, Any] | None = None) -> Translator:
    """An unfitted translator.

    Raises:
        ValueError: no translator has that name, or it takes no such parameter.
    """
    made: Translator = create_by_name("translator", TRANSLATORS, name, parameters)
    return made
