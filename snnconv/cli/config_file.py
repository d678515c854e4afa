"""Options of a command in a TOML file, by their names; those on the command line win."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from snnconv.cli.registering import RUNNING
from snnconv.errors import ConfigurationError

#: What only the command line may say: that whoever wrote a file may run code here.
_SPOKEN = "trust"

#: What the help shows for the value of an option that takes several, which commas separate, or a list in a file.
SEPARATED = "A,B,..."
#: How often an option takes a value.
_Times = Literal["once", "separated", "repeated"]


def read_options(path: Path, known: Mapping[str, _Times]) -> dict[str, str | bool | list[str]]:
    """The options in the TOML file ``path`` as a command line would give them.

    Args:
        path: The file. Its keys are names of options without "--", or of arguments; a list is what commas separate, or
            of an option that may be repeated its values; others take none.
        known: Names that there are, and how often each takes a value.

    Returns:
        Texts, lists of them for what may be repeated, and whether a flag is set, by name.

    Raises:
        ConfigurationError: The file cannot be read, is no TOML, or has a key that there is not or that is there
            twice, or a value that an option cannot have.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # of TOML, and of text
        raise ConfigurationError(f"{path} is no TOML: {error}") from error
    found: dict[str, str | bool | list[str]] = {}
    for key, value in content.items():
        name = key.replace("_", "-")
        if name == _SPOKEN:
            raise ConfigurationError(
                f"{path}: {key}: a file cannot say that its own model may run code here: give --trust with the command"
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise ConfigurationError(f"{path}: there is no option {key}; {meant}")
        if name in found:
            raise ConfigurationError(f"{path}: {name} is given twice, with a dash and with an underscore: keep one")
        found[name] = _given(path, key, value, known[name])
    return found


def _given(path: Path, key: str, value: Any, times: _Times) -> str | bool | list[str]:
    """``value`` as the command line would have it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, list) and times == "once":
        raise ConfigurationError(f"{path}: {key} takes one value, and no list")
    parts = value if isinstance(value, list) else [value]
    if not (parts or times == "repeated") or any(
        isinstance(part, bool) or not isinstance(part, (str, int, float)) for part in parts
    ):
        raise ConfigurationError(f"{path}: {key} must be text, a number, true or false, or a list of such")
    texts = [str(part) for part in parts]
    return texts if times == "repeated" else ",".join(texts)


def _times(parameter: Any) -> _Times:
    if parameter.multiple or parameter.nargs != 1:
        return "repeated"
    return "separated" if parameter.metavar == SEPARATED else "once"


def _take(context: typer.Context, path: Path | None) -> Path | None:
    """Let the options in ``path`` be what those have that are not given."""
    if path is None or context.resilient_parsing:
        return path
    names: dict[str, Any] = {}
    for parameter in context.command.params:
        for spelling in parameter.opts:
            if parameter.name != "config" and (spelling.startswith("--") or parameter.param_type_name == "argument"):
                names[spelling.removeprefix("--").replace("_", "-")] = parameter
    found = read_options(path, {name: _times(parameter) for name, parameter in names.items()})
    for name, value in found.items():
        flag = getattr(names[name], "is_flag", False)
        if flag is not isinstance(value, bool):
            raise ConfigurationError(f"{path}: {name} is {'true or false' if flag else 'no flag, and takes a value'}")
    context.default_map = {names[name].name: value for name, value in found.items()}
    return path


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=_take,
        is_eager=True,
        help="TOML file with options by their names; those on the command line win.",
        rich_help_panel=RUNNING,
    ),
]
