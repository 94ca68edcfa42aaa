"""What a night asks of RAW before anything is written: that its partitions are there, and do not take away most of what
the lake holds of it."""

from jobs.runtime.night import Night, NightError
from schemas.table import Table

DECLARE = "landing.days_without_data in the configuration, --without-data, or the DAG's parameter without_data"


def kinds_read(night: Night) -> list[str]:
    """Return the kinds of raw partitions that a night reads, as folders of RAW."""
    given = [m for m, several in night.config.extract.encoders.items() if any(choice.is_given for choice in several)]
    return ["items", "interactions", *(f"vectors/{modality}" for modality in given)]


def landed(night: Night) -> dict[str, list[int | None]]:
    """Return the files of the night's raw partitions, read or not, by their paths relative to RAW: of each its size and
    its time of change, as `Raw.stamps`."""
    kinds = kinds_read(night)
    read = [path for kind in kinds for path in night.raw.files(kind, night.ds)]
    return night.raw.stamps(read + [path for kind in kinds for path, _ in night.raw.unread(kind, night.ds)])


def nights_landed(night: Night) -> list[str]:
    """Return the nights that RAW has a partition of, ascending, as `YYYY-MM-DD`."""
    return sorted({day for kind in kinds_read(night) for day in night.raw.nights(kind)})


def check_arrived(night: Night, *, without_data: bool = False) -> str | None:
    """See that the night's raw partitions are there, whole. Of a day that is declared to have no data, return in words
    what it brings; None of any other.

    A partition is there when it holds the file `landing.marker`, or where none is configured, a file that is read. One
    of the kinds must be there, and each of `landing.required`. A day that is declared to have no data may lack them,
    but what it brings must be whole.

    Args:
        without_data: the night is declared to have no data, as the days of `landing.days_without_data` are.

    Raises:
        NightError: something has not arrived; the message says what, and what to do.
        LandingZoneError: RAW itself does not exist.
    """
    landing, kinds = night.config.landing, kinds_read(night)
    there = {kind for kind in kinds if night.raw.files(kind, night.ds)}
    if landing.marker:
        begun = there | {kind for kind in kinds if night.raw.unread(kind, night.ds)}
        there = {kind for kind in kinds if night.raw.holds(f"{kind}/ds={night.ds}/{landing.marker}")}
        if torn := sorted(begun - there):
            raise _lacking(night, torn, f"files, but no {landing.marker}, which is put there last")
    if without_data or night.date in landing.days_without_data:
        return f"declared without data, has {sorted(there)}" if there else "no data, as declared"
    lacking: list[str] = [kind for kind in landing.required if kind not in there]
    if not there or lacking:
        found = f"no {landing.marker}" if landing.marker else "no file that is read"
        raise _lacking(night, lacking or kinds, f"{found}; if the day brings no data, declare it ({DECLARE})")
    return None


def check_kept(night: Night, table: type[Table], *, held: int, remaining: int) -> None:
    """See that a rerun takes away no more than the set share of the rows that the lake holds of the night; one row
    never stops it.

    Args:
        held: rows of the night in the lake.
        remaining: those of them whose key RAW still brings.

    Raises:
        NightError: more than `landing.max_removed_share` of them would go.
    """
    removed, limit = held - remaining, night.config.landing.max_removed_share
    if removed > max(1, limit * held):
        raise NightError(
            f"night {night.ds}: this run would remove {removed} of the {held} {table.name} that the lake holds of it, "
            f"above the set share of {limit:.0%} (landing.max_removed_share); nothing was changed. See that RAW is "
            f"mounted and whole: {night.raw.uri}/{table.name}/ds={night.ds}. If they are to go, run the night with "
            "--allow-shrinking, or the DAG's parameter allow_shrinking",
            law=3,
            partition=f"date={night.ds}",
        )


def _lacking(night: Night, kinds: list[str], why: str) -> NightError:
    places = ", ".join(f"{night.raw.uri}/{kind}/ds={night.ds}" for kind in kinds)
    return NightError(
        f"night {night.ds} has not arrived, and nothing of it was changed: {places}: {why}. "
        "Land it, or see that RAW is mounted, then run the night again",
        law=3,
        partition=f"date={night.ds}",
    )
