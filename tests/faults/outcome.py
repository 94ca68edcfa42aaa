"""What came of a moment at which something went wrong."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """`lost` says, in words, what was torn or is not as in an undisturbed night; empty where all survived."""

    fault: str
    moment: str
    lost: tuple[str, ...] = ()


def table(outcomes: Iterable[Outcome], skipped: dict[str, str]) -> str:
    """A line a fault: moments tried, survived, lost."""
    by_fault: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_fault.setdefault(outcome.fault, []).append(outcome)
    lines = [f"{'fault':<44} {'tried':>6} {'survived':>9} {'lost':>5}"]
    for fault, tried in by_fault.items():
        lost = sum(bool(outcome.lost) for outcome in tried)
        lines.append(f"{fault:<44} {len(tried):>6} {len(tried) - lost:>9} {lost:>5}")
    lines += [f"{fault:<44} skipped: {why}" for fault, why in skipped.items()]
    return "\n".join(lines)
