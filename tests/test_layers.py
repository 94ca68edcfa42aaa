"""Imports run only from a lower line of the house to a higher one."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "schemas": set(),
    "lake": {"schemas"},
    "features": {"schemas"},
    "fusion": {"schemas"},
    "jobs": {"schemas", "lake", "features", "fusion"},
    "dags": {"schemas", "lake", "jobs"},
}
MAY_ALSO = {"run_dag.py": {"dags"}}  # `nightweave night` runs the DAG itself
FORBIDDEN = {
    "features": {"pyspark", "airflow"},
    "fusion": {"pyspark", "airflow"},
    "schemas": {"pyspark", "airflow", "tensorflow", "keras"},
    "dags": {"pyspark", "tensorflow", "keras", "pandas", "numpy"},
}


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_run_upwards_only(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        ours = imported(path) & MAY_IMPORT.keys() - {folder}
        assert ours <= MAY_IMPORT[folder] | MAY_ALSO.get(path.name, set()), path
        assert not imported(path) & FORBIDDEN.get(folder, set()), path
