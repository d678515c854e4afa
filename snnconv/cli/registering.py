"""How a command joins the app: under a head of the help, with ``--quiet``, and with examples at the end of its help.

The list of commands does without what commands load, torch above all, which takes seconds.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
from collections.abc import Callable
from importlib.abc import InspectLoader
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from snnconv.cli.console import errors, quiet_if, told_by

#: The heads under which the help of the program lists its commands, in their order.
START, NETWORKS, MEASURES, TRAINING, DETECTORS, MACHINES = (
    "Start",
    "Convert",
    "Measure and show",
    "Train",
    "Detectors",
    "Machines",
)
#: The head of the help under which options stand that say how a command runs, and where its figures go.
RUNNING = "How it runs"

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print nothing but warnings and errors.", rich_help_panel=RUNNING),
]


class LateCommand(TyperCommand):
    """A command of the list, whose module is loaded when it is called, or its options are asked for.

    Attributes:
        place: Where its function is, "package.module:function".
    """

    place: str

    def loaded(self) -> TyperCommand:
        """The command with its options; the program ends with a line of standard error where it cannot be loaded."""
        module, _, function = self.place.partition(":")
        alone = typer.Typer(add_completion=False)
        try:
            command = getattr(importlib.import_module(module), function)
        except Exception as error:  # whatever the package raises, it is said in one line
            text = f"{told_by()}error: {self.name} cannot be loaded: {type(error).__name__}: {error}"
            errors.print(text, style="red", markup=False)
            raise SystemExit(2) from error
        alone.command(self.name, rich_help_panel=self.rich_help_panel, epilog=self.epilog)(_that_may_be_quiet(command))
        found = typer.main.get_command(alone)
        assert isinstance(found, TyperCommand)
        return found

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """The context of the command that was loaded."""
        return self.loaded().make_context(*arguments, **options)


def register(app: typer.Typer, head: str, place: str, *examples: str) -> None:
    """Add a command to ``app``, under ``head`` of its help: the function at ``place``, "package.module:function".

    The module is loaded when the command is called; the list of commands has the function's docstring from its text.
    ``examples`` are arguments behind the name of the program; they end the help of the command.
    """

    class Placed(LateCommand):
        pass

    Placed.place = place
    told = "\n\n".join(["Examples:", *(f"snnconv {example}" for example in examples)])
    name = place.partition(":")[2].replace("_", "-")
    app.command(name, cls=Placed, help=_docstring(place), rich_help_panel=head, epilog=escape(told))(lambda: None)


def _docstring(place: str) -> str | None:
    """That of the function at ``place``, whose module is not run."""
    module, _, function = place.partition(":")
    found = importlib.util.find_spec(module)
    if found is None:
        raise ModuleNotFoundError(f"No module named {module!r}")
    if not isinstance(found.loader, InspectLoader):
        return None
    text = ast.parse(found.loader.get_source(module) or "")
    defined = (each for each in text.body if isinstance(each, ast.FunctionDef) and each.name == function)
    return next((ast.get_docstring(each) for each in defined), None)


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
