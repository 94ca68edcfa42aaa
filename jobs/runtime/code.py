"""The code that runs, as a hash."""

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "lake", "features", "fusion", "jobs")
LIBRARIES = ("duckdb", "keras", "numpy", "pyarrow", "pyspark", "scikit-learn", "scipy", "tensorflow")


def code_fingerprint(
    packages: Iterable[str] = PACKAGES, libraries: Iterable[str] = LIBRARIES, *, others: Iterable[Path] = ()
) -> str:
    """Return a SHA-256, hex, of the sources of our packages, of other files, and of the versions of libraries."""
    digest = hashlib.sha256()
    sources = {path.relative_to(ROOT).as_posix(): path for name in packages for path in (ROOT / name).rglob("*.py")}
    for name, source in [*sorted(sources.items()), *((path.name, path) for path in others)]:
        digest.update(f"{name}\0".encode() + source.read_bytes())
    for name in libraries:
        digest.update(f"{name} {version(name)}\0".encode())
    return digest.hexdigest()
