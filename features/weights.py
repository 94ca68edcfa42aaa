"""Weight files: their hashes, and the paths of those that ship inside installed packages."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex; computed once a process, so the file must not change meanwhile."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Iterable[Path]) -> str:
    """SHA-256 over the hashes of several files, in order, hex; neither their names nor their folder count."""
    return hashlib.sha256(" ".join(map(file_sha256, paths)).encode()).hexdigest()


def package_file(package: str, name: str) -> Path:
    """Path of the file `name` inside an installed package, found without importing the package.

    Raises:
        FileNotFoundError: the package isn't installed, or has no such file.
    """
    spec = find_spec(package)
    root = Path(spec.origin).parent if spec is not None and spec.origin else None
    if root is None or not (root / name).is_file():
        raise FileNotFoundError(f"package {package} with its file {name} is not installed")
    return root / name
