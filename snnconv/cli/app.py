"""The app: its commands, and those that other packages add."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

import snnconv
from snnconv.cli.commands.convert import convert
from snnconv.cli.commands.demo import demo
from snnconv.cli.commands.detect import detect
from snnconv.cli.commands.doctor import doctor
from snnconv.cli.commands.evaluate import evaluate
from snnconv.cli.commands.evaluate_detector import evaluate_detector
from snnconv.cli.commands.preflight import preflight
from snnconv.cli.commands.sweep import sweep
from snnconv.cli.commands.train import train
from snnconv.cli.commands.train_detector import train_detector
from snnconv.cli.commands.tune import tune
from snnconv.cli.console import console, discard_output, errors, told_by
from snnconv.cli.sharing import check_shared
from snnconv.errors import SnnconvError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Convert trained PyTorch networks into spiking neural networks, and measure what comes out.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"snnconv {snnconv.__version__}", markup=False)
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of the program itself, whatever the command."""
    check_shared(context.invoked_subcommand)


for command in (
    demo,
    doctor,
    preflight,
    convert,
    evaluate,
    sweep,
    tune,
    train,
    detect,
    evaluate_detector,
    train_detector,
):
    app.command()(command)


def add_commands_of_others() -> None:
    """Let every package that names a function in the entry-point group "snnconv.commands" add its commands to the app.

    A package that cannot be loaded takes away no command of another: one line of standard error says what is missing.
    """
    for entry in entry_points(group="snnconv.commands"):
        try:
            entry.load()(app)
        except Exception as error:  # whatever the package raises, it is no reason to refuse other commands
            message = f"the commands of {entry.name} are missing: {type(error).__name__}: {error}"
            errors.print(message, style="yellow", markup=False)


def run() -> None:
    """Run the command that the arguments name: an error of the project or the system ends with its text and 2."""
    add_commands_of_others()
    try:
        app()
    except SnnconvError as error:
        errors.print(f"{told_by()}error: {error}", style="red", markup=False)
        sys.exit(2)
    except OSError as error:  # as of a full disk behind standard output, or a name that no disk takes
        discard_output()
        errors.print(f"{told_by()}error: {error}", style="red", markup=False)
        sys.exit(2)
