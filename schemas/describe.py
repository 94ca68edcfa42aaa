"""The tables as a page to read: `python -m schemas.describe` prints what `docs/tables.md` holds."""

import inspect
from textwrap import fill

import pyarrow as pa

from schemas.table import Table
from schemas.tables import TABLES

INTRODUCTION = """# The tables

Each is a Delta table under `LAKE/<name>`: Parquet files and a transaction log, for any engine to read, and a view of
that name for `nightweave query`. `date` is the night. This page is printed by `python -m schemas.describe`.
"""


def page() -> str:
    """Markdown: of each table the grain, what its docstring adds, the columns, and the promises that `verify` keeps."""
    return "\n".join([INTRODUCTION, *map(_section, TABLES.values())])


def _section(table: type[Table]) -> str:
    _, _, more = inspect.cleandoc(table.__doc__ or "").partition("\n")
    columns = [
        f"| `{field.name}` | {_type(field.type)} | {'yes' if field.nullable else ''} |" for field in table.schema
    ]
    promises = [f"- {check.name}{'' if check.severity == 'fail' else ' (a warning)'}" for check in table.all_checks()]
    lines = [
        f"## `{table.name}`",
        fill(f"{table.grain()} Key: {_names(table.key)}. Partitioned by: {_names(table.partition_by)}.", 120),
        more.strip(),
        "\n".join(["| column | type | may be null |", "| --- | --- | --- |", *columns]),
        "\n".join(["Promised:", *dict.fromkeys(promises)]),
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f"`{column}`" for column in columns)


def _type(dtype: pa.DataType) -> str:
    if pa.types.is_list(dtype):
        return f"list of {_type(dtype.value_type)}"
    if pa.types.is_map(dtype):
        return f"map from {_type(dtype.key_type)} to {_type(dtype.item_type)}"
    return str(dtype)


if __name__ == "__main__":
    print(page(), end="")
