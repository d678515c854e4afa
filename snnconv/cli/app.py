"""The app: its commands, and those that other packages add.

Nothing here loads torch, which takes seconds: help of the program and completion of its commands do without.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Annotated

import typer

from snnconv.cli.console import console, discard_output, errors, told_by, warnings_told
from snnconv.cli.registering import DETECTORS, MEASURES, NETWORKS, START, TRAINING, LateCommand, register
from snnconv.cli.sharing import check_shared
from snnconv.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Convert trained PyTorch networks into spiking neural networks, and measure what comes out.",
    epilog="snnconv COMMAND --help has the options of a command, and examples. Begin with snnconv demo.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"snnconv {__version__}", markup=False)
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
    context.with_resource(warnings_told())


register(app, START, "snnconv.cli.commands.demo:demo", "demo", "demo --steps 16 --json demo.json")
register(app, START, "snnconv.cli.commands.doctor:doctor", "doctor", "doctor --json installed.json")
register(
    app,
    START,
    "snnconv.cli.commands.preflight:preflight",
    "preflight package.module:function --shape 3,32,32",
    "preflight model.pt2 --trust --shape 3,32,32 --analog head",
)
register(
    app,
    NETWORKS,
    "snnconv.cli.commands.convert:convert",
    "convert package.module:function --weights weights.pth --calibration samples.npz -o network.snn",
    "convert package.module:function --calibration samples.npz -o network.snn --coding rate --steps 32",
    "convert package.module:function --calibration samples.npz -o network.snn --coding auto --max-loss 0.5",
)
register(
    app,
    NETWORKS,
    "snnconv.cli.commands.search:search",
    "search package.module:function --weights weights.pth --calibration samples.npz",
    "search package.module:function --calibration samples.npz --max-loss 1 --minimize latency -o network.snn",
)
register(
    app,
    NETWORKS,
    "snnconv.cli.commands.sweep:sweep",
    "sweep package.module:function --calibration samples.npz --data test.npz -o folder --codes rate,phase --steps 4,8",
    "sweep --config sweep.toml --limit 1000 --estimate",
)
register(
    app,
    MEASURES,
    "snnconv.cli.commands.evaluate:evaluate",
    "evaluate network.snn --data test.npz",
    "evaluate network.snn --data test.npz --reference package.module:function --weights weights.pth --json result.json",
    "evaluate network.snn --data test.npz --limit 1000 --workers auto --quiet --json result.json",
)
register(
    app,
    MEASURES,
    "snnconv.cli.commands.verify:verify",
    "verify network.snn --data test.npz",
    "verify network.snn --data test.npz --limit 200",
)
register(
    app,
    MEASURES,
    "snnconv.cli.commands.plot:plot",
    "plot accuracy network.snn --data test.npz -o accuracy.pdf",
    "plot spikes network.snn --data test.npz --sample 3 -o spikes.png",
    "plot pareto folder --cost energy -o pareto.pdf",
)
register(
    app,
    MEASURES,
    "snnconv.cli.commands.report:report",
    "report network.snn --data test.npz --reference package.module:function --weights weights.pth -o report.html",
    "report network.snn --data test.npz --sweep folder/sweep.json --export export.json -o report.html",
    "report detector.snn --detector yolo.cfg,yolo.weights --names coco.names --picture photographs -o report.html",
)
register(
    app,
    TRAINING,
    "snnconv.cli.commands.tune:tune",
    "tune network.snn --data train.npz -o tuned.snn --epochs 5 --checkpoint run",
    "tune network.snn --data train.npz -o tuned.snn --targets labels --device cuda",
)
register(
    app,
    TRAINING,
    "snnconv.cli.commands.train:train",
    "train --data train.npz -o learned.snn --hidden 200,100 --validation validation.npz",
)
register(
    app,
    DETECTORS,
    "snnconv.cli.commands.detect:detect",
    "detect street.jpg photographs -o found",
    "detect 'photographs/**/*.jpg' --model yolo.cfg,yolo.weights --names coco.names --limit 20",
)
register(
    app,
    DETECTORS,
    "snnconv.cli.commands.evaluate_detector:evaluate_detector",
    "evaluate-detector",
    "evaluate-detector --model net.cfg,net.weights --data folder --names names.txt --calibration photographs",
)
register(
    app,
    DETECTORS,
    "snnconv.cli.commands.train_detector:train_detector",
    "train-detector -o shapes.weights",
    "train-detector --config net.cfg --data folder --names names.txt -o net.weights --checkpoint run",
)


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


def load(arguments: Sequence[str]) -> None:
    """Load what other packages add, and the command that ``arguments`` begin with."""
    add_commands_of_others()
    named = typer.main.get_command(app).commands.get(arguments[0]) if arguments else None  # type: ignore[attr-defined]
    if isinstance(named, LateCommand):
        named.loaded()


def run() -> None:
    """Run the command that the arguments name: an error of the project or the system ends with its text and 2."""
    try:
        app()
    except Exception as error:
        from snnconv.errors import SnnconvError  # with torch, which whatever raises it has loaded

        if not isinstance(error, SnnconvError | OSError):
            raise
        if not isinstance(error, SnnconvError):  # as of a full disk behind standard output
            discard_output()
        errors.print(f"{told_by()}error: {error}", style="red", markup=False)
        sys.exit(2)
