"""Credentials of the store that RAW and LAKE are in, from a connection of Airflow's."""

import os
from typing import Any

CONNECTION = "NIGHTWEAVE_STORE_CONNECTION"


def bring_credentials() -> None:
    """Put the credentials of the connection that `NIGHTWEAVE_STORE_CONNECTION` names into this process's environment.

    A task is a process of its own, and what it starts inherits them; they are neither rendered nor logged. Without the
    variable the environment stays as it is.

    Raises:
        AirflowNotFoundException: there is no such connection.
        ValueError: it is not of the type `aws`.
    """
    if not (name := os.environ.get(CONNECTION)):
        return
    from airflow.sdk import BaseHook

    os.environ |= variables(BaseHook.get_connection(name))


def variables(connection: Any) -> dict[str, str]:
    """The variables that S3's clients read, from a connection of the type `aws`; those that it leaves open are not set.

    Its extra may hold `region_name`, `endpoint_url` and `aws_session_token`, as for Airflow's own Amazon provider.
    """
    if connection.conn_type != "aws":
        raise ValueError(f"{CONNECTION}: {connection.conn_id} is of type {connection.conn_type!r}; expected 'aws'")
    extra = connection.extra_dejson
    found = {
        "AWS_ACCESS_KEY_ID": connection.login,
        "AWS_SECRET_ACCESS_KEY": connection.password,
        "AWS_SESSION_TOKEN": extra.get("aws_session_token"),
        "AWS_REGION": extra.get("region_name"),
        "AWS_ENDPOINT_URL": extra.get("endpoint_url"),
    }
    return {name: value for name, value in found.items() if value}
