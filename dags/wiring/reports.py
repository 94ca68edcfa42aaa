"""The report of a night, in Airflow's own pages: whoever may see the DAG's runs may read it.

The API server gives it out from LAKE, so `NIGHTWEAVE_LAKE` must be in its environment, and with a store that of its
credentials.
"""

from datetime import date
from functools import cache
from typing import Any

from airflow.sdk import BaseOperatorLink

DAG = "nightly_recommendations"
TASK = "report"
PREFIX = "/nightweave"
# The page holds titles of the catalog: nothing in it may run, load or ask as the person who looks at it.
HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
    ),
    "X-Content-Type-Options": "nosniff",
}


def address(night: date | str) -> str:
    """Where a night's report is, under the address of the API server (`AIRFLOW__API__BASE_URL`)."""
    from airflow.sdk.configuration import conf

    return f"{conf.get('api', 'base_url', fallback='http://localhost:8080').rstrip('/')}{PREFIX}/reports/{night}"


class ReportLink(BaseOperatorLink):
    """The button of the task `report`."""

    name = "Report of the night"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return address(ti_key.get_template_context()["ds"])


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI application of the API server under `PREFIX`; it is made when it is first asked."""
    await _application()(scope, receive, send)


@cache
def _application() -> Any:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, HTTPException, Response

    application = FastAPI(title="Reports", docs_url=None, redoc_url=None, openapi_url=None)
    may_read = Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=DAG))

    def page(name: str, missing: str) -> Response:
        found = _read(name)
        if found is None:
            raise HTTPException(404, missing)
        return Response(found, media_type="text/html; charset=utf-8", headers=HEADERS)

    # Pages link to one another by the names of their files. The first path that fits is taken; of two decorators the
    # lower one comes first.
    @application.get("/reports/index.html", dependencies=[may_read])
    def index() -> Response:
        return page("index", "no report was written yet")

    @application.get("/reports/{night}", dependencies=[may_read])
    @application.get("/reports/{night}.html", dependencies=[may_read])
    def report(night: date) -> Response:
        missing = f"no report of the night {night}; `nightweave report --date {night}` writes it"
        return page(night.isoformat(), missing)

    return application


def _read(name: str) -> bytes | None:
    """A page as it is in LAKE, by its name without the suffix; None where there is none.

    Raises:
        UserError: the environment does not say where LAKE is.
        StorageError: it cannot be reached.
    """
    from jobs.runtime.night import location
    from lake.lake import Lake
    from lake.storage import filesystem

    store, root = filesystem(Lake(location("lake", None)).uri)
    try:
        with store.open_input_stream(f"{root}/reports/{name}.html") as file:
            return file.read()
    except FileNotFoundError:
        return None
