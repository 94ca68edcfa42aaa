"""The contract of what learns and can be restored elsewhere: settings as JSON, what was learnt as arrays."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import NDArray


class Estimator(ABC):
    """Made from its parameters by name, fitted, and restored elsewhere from its state.

    Attributes:
        name: under which its registry has it.
    """

    name: ClassVar[str]

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """What was learnt, as named arrays without objects."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """The inverse of `state`."""
