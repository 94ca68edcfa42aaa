"""What the parameter `skip_publishing` changes in a night's tasks."""

from collections.abc import Mapping
from typing import Any

from dags.wiring.steps import prepare


def wanted(*, params: Mapping[str, Any], **_: Any) -> bool:
    """Whether the night is published: if not, what follows is skipped."""
    publish = not params["skip_publishing"]
    print("publishing" if publish else "skip_publishing is set: nothing of the night is published")
    return publish


def before_evaluation(context: Mapping[str, Any]) -> None:
    """Before an evaluation: it writes no table where publishing is skipped."""
    prepare(context)
    if context["params"]["skip_publishing"]:
        context["task"].outlets = []
