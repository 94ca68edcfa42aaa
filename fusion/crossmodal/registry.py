"""The translators by name."""

from importlib import import_module
from typing import Any

from fusion.crossmodal.translator import Translator

TRANSLATORS = {
    "gan": "fusion.crossmodal.adversarial:Adversarial",
    "network": "fusion.crossmodal.regressor:Regressor",
    "ridge": "fusion.crossmodal.ridge:Ridge",
    "vae": "fusion.crossmodal.variational:Variational",
}
"""Name → module:class. The module is imported when the translator is asked for."""


def create(name: str, parameters: dict[str, Any] | None = None) -> Translator:
    """An unfitted translator.

    Raises:
        ValueError: no translator has that name, or it takes no such parameter.
    """
    if name not in TRANSLATORS:
        raise ValueError(f"translator {name!r}: unknown; choose one of {', '.join(sorted(TRANSLATORS))}")
    module, _, attribute = TRANSLATORS[name].partition(":")
    translator: type[Translator] = getattr(import_module(module), attribute)
    try:
        return translator(**(parameters or {}))
    except TypeError as error:
        raise ValueError(f"translator {name!r}: {error}") from error
