"""Every package that weights are read from stands in docs/reference/licences.md with a licence."""

import ast
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def packages_with_weights() -> Iterator[tuple[str, Path]]:
    """The first argument of each call of `package_file` in features/, whether a literal or a constant of its module."""
    for path in (ROOT / "features").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "package_file":
                (package, *_) = node.args
                yield (
                    (package.value if isinstance(package, ast.Constant) else constants[getattr(package, "id", "")]),
                    path,
                )


def test_weights_that_come_along_have_their_licence_listed() -> None:
    rows = [line.split("|") for line in (ROOT / "docs" / "reference" / "licences.md").read_text("utf-8").splitlines()]
    listed = {cells[3].strip(" `"): cells[4].strip() for cells in rows if len(cells) == 6}
    distributions = packages_distributions()
    found = list(packages_with_weights())
    assert len(found) >= 5
    for package, path in found:
        names = {name.lower().replace("_", "-") for name in distributions[package]}
        assert any(listed.get(name) for name in names), f"{path.relative_to(ROOT)} reads weights of {names}"
