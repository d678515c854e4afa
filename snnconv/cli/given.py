"""Options that a user gave, and that what else was asked for leaves no use for: they are refused, not ignored."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from snnconv.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor


def refuse(context: typer.Context, reason: str, *names: str) -> None:
    """Raise ``ConfigurationError`` if any option of a command was given whose parameter is one of ``names``.

    Args:
        context: The command that runs. An option counts as given on the command line and in a file of options, also
            with the value that it has by default.
        reason: Why it has no use, and what to do; the message begins with the options.
        names: Names of parameters of the command.
    """
    known = {parameter.name: parameter for parameter in context.command.params}
    given = [max(known[name].opts, key=len) for name in names if _is_given(context, name)]
    if given:
        raise ConfigurationError(f"{', '.join(given)}: {reason}")


def refuse_ignore_index(context: typer.Context, data: Path, targets: Iterable[Tensor | None]) -> None:
    """Raise ``ConfigurationError`` for ``--ignore-index`` unless ``targets``, those in ``data``, are integers."""
    if not any(each is not None and not each.is_floating_point() for each in targets):
        refuse(context, f"leaves out integer targets, and {data} holds none: leave it out", "ignore_index")


def refuse_batch(context: typer.Context, axis: int | None) -> None:
    """Raise ``ConfigurationError`` for ``--batch`` where a network has no batch ``axis``."""
    if axis is None:
        refuse(context, "the model fixes its first axis, and with it how much is taken at once: leave it out", "batch")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
