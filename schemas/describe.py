"""The tables in words, for the reference: `python -m schemas.describe` prints every table with its columns."""

import inspect
from textwrap import fill

import pyarrow as pa

from schemas.table import Table
from schemas.tables import TABLES


def page() -> str:
    """The page as Markdown: of each table the grain, the rest of its docstring, the columns and the promises that
    `verify` checks."""
    return "\n".join(map(_section, TABLES.values()))


def _section(table: type[Table]) -> str:
    _, _, more = inspect.cleandoc(table.__doc__ or "").partition("\n")
    columns = [
        f"| `{column.name}` | {_type(column.type)} | {'yes' if column.nullable else ''} | {column.description} |"
        for column in table.described
    ]
    promises = [f"- {check.name}{'' if check.severity == 'fail' else ' (a warning)'}" for check in table.all_checks()]
    lines = [
        f"## `{table.name}`",
        fill(f"{table.grain()} Key: {_names(table.key)}. Partitioned by: {_names(table.partition_by)}.", 120),
        more.strip(),
        "\n".join(["| column | type | may be null | description |", "| --- | --- | --- | --- |", *columns]),
        "\n".join(["Promised:", "", *dict.fromkeys(promises)]),
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
