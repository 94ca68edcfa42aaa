"""Arguments within their ranges: what is refused is told by its name, what it held and what is expected."""


def at_least(least: int, **values: float) -> None:
    """Raises ValueError where a value is below `least`."""
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{name} {value}: expected {least} or more")


def above_0(**values: float) -> None:
    """Raises ValueError where a value is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} {value}: expected more than 0")


def shares(**values: float) -> None:
    """Raises ValueError where a value is below 0, or 1 or more."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} {value}: expected a share, at least 0 and below 1")


def one_of(known: tuple[str, ...], **values: str) -> None:
    """Raises ValueError where a value is none of the known."""
    for name, value in values.items():
        if value not in known:
            raise ValueError(f"{name} {value!r}: expected one of {', '.join(known)}")
