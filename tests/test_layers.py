"""Imports run only from a lower line of the house to a higher one, and its rooms stay small enough to be read."""

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from fusion.models.registry import STRATEGIES

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
ROOMS_IN_FUSION, FLOORS_OF_FUSION, FILES_OF_A_MODEL, FILES_IN_JOBS = 9, 6, 15, 18

IN_WORKERS = ("jobs.clean", "jobs.recommend", "jobs.extraction.encoding", "lake.spark", "fusion.ranking")
"""What Spark's workers import, a room with all of its files."""
NOT_IN_WORKERS = {"tensorflow", "keras", "sklearn", "torch"}
IMPORT_ALL = "import sys; [__import__(name) for name in sys.argv[1:]]; print(*sys.modules)"


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def named_in_imports(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it, and `module.name` for each name that it takes from one."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def fusion() -> dict[str, set[str]]:
    """Module of `fusion/` → the modules of `fusion/` that it imports. An `__init__.py` of a docstring is none."""
    files = {module(path): path for path in (ROOT / "fusion").rglob("*.py") if len(parsed(path).body) > 1}
    assert files
    return {name: named_in_imports(path) & files.keys() - {name} for name, path in files.items()}


def reached(start: str) -> set[str]:
    """The module and all that it imports, directly or not."""
    found, left = {start}, [start]
    while left:
        new = fusion()[left.pop()] - found
        found |= new
        left += new
    return found


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_run_upwards_only(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        imported = {name.partition(".")[0] for name in named_in_imports(path)}
        ours = imported & MAY_IMPORT.keys() - {folder}
        assert ours <= MAY_IMPORT[folder] | MAY_ALSO.get(path.name, set()), path
        assert not imported & FORBIDDEN.get(folder, set()), path


def test_workers_of_spark_import_no_library_that_learns() -> None:
    """Each worker process would pay seconds and hundreds of megabytes for it."""
    files = [path for name in IN_WORKERS for path in (ROOT / name.replace(".", "/")).glob("*.py")]
    names = [*IN_WORKERS, *map(module, files)]
    assert len(names) > len(IN_WORKERS)
    loaded = subprocess.check_output([sys.executable, "-c", IMPORT_ALL, *names], text=True, cwd=ROOT).split()
    assert set(IN_WORKERS) <= set(loaded)
    assert not NOT_IN_WORKERS & set(loaded)


def test_no_class_name_means_two_things_in_fusion() -> None:
    classes = Counter(
        node.name
        for path in (ROOT / "fusion").rglob("*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef)
    )
    assert classes and [name for name, times in classes.items() if times > 1] == []


def test_fusion_has_few_rooms_on_few_floors() -> None:
    front = [path for path in (ROOT / "fusion").iterdir() if path.name not in ("__init__.py", "__pycache__")]
    assert len(front) <= ROOMS_IN_FUSION, sorted(path.name for path in front)
    rooms: dict[str, set[str]] = {}
    for name, imports in fusion().items():
        room = name.split(".")[1]
        rooms.setdefault(room, set()).update({other.split(".")[1] for other in imports} - {room})
    floors: dict[str, int] = {}
    for room in TopologicalSorter(rooms).static_order():  # raises CycleError where rooms import one another
        floors[room] = 1 + max((floors[below] for below in rooms[room]), default=0)
    assert max(floors.values()) <= FLOORS_OF_FUSION, floors


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_model_is_read_in_few_files(strategy: str) -> None:
    files = reached(STRATEGIES[strategy].partition(":")[0])
    assert len(files) <= FILES_OF_A_MODEL, sorted(files)


def test_in_front_of_jobs_is_a_file_a_step_or_a_command() -> None:
    files = {path for path in (ROOT / "jobs").glob("*.py") if path.name not in ("__init__.py", "cli.py")}
    listed = [ROOT / "jobs" / "cli.py", *(ROOT / "jobs" / "commands").glob("*.py")]
    commands = set[str]().union(*map(named_in_imports, listed))
    assert files and {path.name for path in files if module(path) not in commands} == set()
    assert len(files) + 1 <= FILES_IN_JOBS
