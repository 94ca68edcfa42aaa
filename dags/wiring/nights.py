"""The timetable of the night: which night a run makes stands in the name of a scheduled run.

Airflow names a run by the moment from which it may run, which is the day after its night.
"""

from typing import Any

from airflow.timetables.interval import CronDataIntervalTimetable


class Nights(CronDataIntervalTimetable):
    """A run a day, for the day that has ended; scheduled runs are named by that day."""

    def generate_run_id(self, *, run_type: Any, run_after: Any, data_interval: Any, **extra: Any) -> str:
        """Return the name of a run that the schedule or a person starts; Airflow names those of backfills itself.

        Raises:
            ValueError: it has no logical date, and so no night; whoever triggers it is told so, and no run is made.
        """
        if data_interval is None:
            raise ValueError(
                "a run without a logical date has no night to make: give it the night's midnight in UTC, "
                "such as --logical-date 2026-11-07T00:00:00Z"
            )
        if run_type.value == "scheduled":
            return str(run_type.generate_run_id(suffix=data_interval.start.date().isoformat()))
        return super().generate_run_id(run_type=run_type, run_after=run_after, data_interval=data_interval, **extra)
