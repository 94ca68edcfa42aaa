"""The translators and alignments by name."""

from typing import Any

from fusion.crossmodal.alignment import Alignment
from fusion.crossmodal.translator import Translator
from fusion.data.arguments import create_by_name

TRANSLATORS = {
    "network": "fusion.crossmodal.regressor:Regressor",
    "ridge": "fusion.crossmodal.ridge:Ridge",
    "vae": "fusion.crossmodal.variational:Variational",
}
"""Name → module:class. The module is imported when a translator is created."""
ALIGNMENTS = {
    "cca": "fusion.crossmodal.canonical:Canonical",
    "infonce": "fusion.crossmodal.contrastive:Contrastive",
}


def create(name: str, parameters: dict[str, Any] | None = None) -> Translator:
    """An unfitted translator.

    Raises:
        ValueError: no translator has that name, or it takes no such parameter.
    """
    made: Translator = create_by_name("translator", TRANSLATORS, name, parameters)
    return made


def create_alignment(name: str, parameters: dict[str, Any] | None = None) -> Alignment:
    """An unfitted alignment.

    Raises:
        ValueError: no alignment has that name, or it takes no such parameter.
    """
    made: Alignment = create_by_name("alignment", ALIGNMENTS, name, parameters)
    return made
