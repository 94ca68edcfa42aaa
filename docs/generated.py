"""The reference pages that are made from the code: settings, commands and tables, as Markdown."""

import ast
import inspect
import json
import sys
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from jobs.cli import app
from schemas import config
from schemas.describe import page as tables

COLUMNS = {
    "settings": "| setting | expects | unless set | |\n| --- | --- | --- | --- |",
    "parameters": "| argument or option | expects | unless given | |\n| --- | --- | --- | --- |",
}


def settings() -> str:
    """Every setting of the configuration, a section of the page for each section of the file."""
    top = [(name, field) for name, field in config.Config.model_fields.items()]
    plain = [name for name, field in top if not _is_section(field.annotation)]
    sections = [
        f"## {name}\n\n{_words(inspect.getdoc(field.annotation))}\n\n{COLUMNS['settings']}\n"
        + "\n".join(_settings(field.annotation, f"{name}."))
        for name, field in top
        if _is_section(field.annotation)
    ]
    lines = "\n".join(_setting(config.Config, name, name) for name in plain)
    return "\n\n".join([*sections, f"## Outside of any section\n\n{COLUMNS['settings']}\n{lines}", *_entries()]) + "\n"


def _entries() -> Iterator[str]:
    """What stands in lists and maps: encoders, candidates and sources of fields."""
    entries = {"An encoder": config.EncoderChoice, "A candidate": config.Candidate, "A source": config.Source}
    for title, cls in entries.items():
        yield f"## {title}\n\n{_words(inspect.getdoc(cls))}\n\n{COLUMNS['settings']}\n" + "\n".join(_settings(cls, ""))


def _settings(section: type[BaseModel], place: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if _is_section(field.annotation):
            yield f"| **`{place}{name}`** | | | {_cell(_words(inspect.getdoc(field.annotation)))} |"
            yield from _settings(field.annotation, f"{place}{name}.")
        else:
            yield _setting(section, name, f"{place}{name}")


def _setting(section: type[BaseModel], name: str, place: str) -> str:
    field = section.model_fields[name]
    bounds = [
        f"{sign} {value:g}"
        for part in field.metadata
        for attribute, sign in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))
        if (value := getattr(part, attribute, None)) is not None
    ]
    expects = ", ".join([_type(field.annotation), *bounds])
    default = "required" if field.is_required() else f"`{_json(field.default)}`"
    return f"| `{place}` | {_cell(expects)} | {_cell(default)} | {_cell(_words(documented(section).get(name, '')))} |"


def documented(section: type[BaseModel]) -> dict[str, str]:
    """The docstrings of a section's settings: the texts that stand below them in its class."""
    (cls,) = ast.parse(inspect.getsource(section)).body
    found: dict[str, str] = {}
    for node, following in zip(cls.body, cls.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
            found[node.target.id] = inspect.cleandoc(following.value.value)
    return found


def commands() -> str:
    """Every command with its arguments and options; groups are followed by their commands."""
    group = typer.main.get_command(app)
    return "\n\n".join(_commands(group, "nightweave")) + "\n"


def _commands(group: Any, name: str) -> Iterator[str]:
    for command in group.commands.values():
        full = f"{name} {command.name}"
        parameters = "\n".join(_parameter(parameter) for parameter in command.params)
        table = f"\n\n{COLUMNS['parameters']}\n{parameters}" if parameters else ""
        example = f"\n\n```sh\n{command.epilog.removeprefix('Example: ')}\n```" if command.epilog else ""
        yield f"## {full}\n\n{_words(command.help)}{table}{example}"
        if getattr(command, "commands", None):
            yield from _commands(command, full)


def _parameter(parameter: Any) -> str:
    # A switch that can only be turned on has no second name.
    names = " or ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    kind = parameter.type_descriptor.annotation
    default = "required" if parameter.required else f"`{_json(parameter.default)}`"
    if parameter.default in (None, "", False) and not parameter.required:
        default = ""
    return f"| {names} | {'' if kind is bool else _cell(_type(kind))} | {default} | {_cell(parameter.help or '')} |"


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _type(annotation: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(part) for part in arguments if part is not type(None))
    if origin is tuple:
        return f"list: {_type(arguments[0])}"
    if origin is dict:
        return f"map from {_type(arguments[0])} to {_type(arguments[1])}"
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _json(value: Any) -> str:
    def plain(one: Any) -> Any:
        return one.model_dump(exclude_defaults=True) if isinstance(one, BaseModel) else str(one)

    return json.dumps(value, default=plain, ensure_ascii=False)


def _words(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {"settings": settings, "commands": commands, "tables": tables}

if __name__ == "__main__":
    print(PAGES[sys.argv[1]](), end="")
