"""How a command joins the app: under a head of the help, with ``--quiet``, and with examples at the end of its help."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.markup import escape

from snnconv.cli.console import quiet_if
from snnconv.cli.options import RUNNING

#: The heads under which the help of the program lists its commands, in their order.
START, NETWORKS, MEASURES, TRAINING, DETECTORS, MACHINES = (
    "Start",
    "Convert",
    "Measure and show",
    "Train",
    "Detectors",
    "Machines",
)

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print nothing but warnings and errors.", rich_help_panel=RUNNING),
]


def register(app: typer.Typer, head: str, command: Callable[..., None], *examples: str) -> None:
    """Add ``command`` to ``app`` under ``head`` of its help.

    ``examples`` are arguments behind the name of the program; they end the help of the command.
    """
    told = "\n\n".join(["Examples:", *(f"snnconv {example}" for example in examples)])
    app.command(rich_help_panel=head, epilog=escape(told))(_that_may_be_quiet(command))


def _that_may_be_quiet(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with ``--quiet``."""

    @functools.wraps(command)
    def run(*, quiet: bool, **given: Any) -> None:
        with quiet_if(quiet):
            command(**given)

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        *(each.replace(kind=kind) for each in inspect.signature(command, eval_str=True).parameters.values()),
        inspect.Parameter("quiet", kind, default=False, annotation=Quiet),
    ]
    setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010 - functions declare no such attribute
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
