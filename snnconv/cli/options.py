"""Options that several commands take, each defined here once: models, weights, judges, devices, figures as files."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

from snnconv.cli.console import console, is_first
from snnconv.cli.interruption import kept
from snnconv.cli.registering import RUNNING
from snnconv.data.file_kinds import FOLDER, NETWORK, kind_of
from snnconv.errors import ConfigurationError, StorageError
from snnconv.metrics.class_judge import ClassJudge
from snnconv.metrics.judge import TargetJudge
from snnconv.metrics.label_judge import LabelJudge
from snnconv.metrics.value_judge import ValueJudge
from snnconv.scaling.workers import number_of
from snnconv.simulators import SIMULATORS
from snnconv.storage.atomic import check_writable, write_whole

Network = Annotated[Path, typer.Argument(help="A file that convert wrote.")]
Model = Annotated[
    str,
    typer.Argument(
        help="package.module:name of a module or of a function that builds it, or a .pt2 exported program (with "
        "--trust). Either runs code."
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Read a model from a .pt2, which can run any code of its author: torch unpickles parts of it.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Weights: a state dict in .safetensors or a file of torch.save, alone or in a checkpoint."),
]
Reference = Annotated[
    str, typer.Option(help="The original model, as for convert: package.module:name, or a .pt2 with --trust.")
]
#: Why --weights and --trust are refused where there is no --reference.
BELONG_TO_REFERENCE = "they belong to the original model: give --reference too, or leave them out"
SimulatorName = Annotated[str, typer.Option("--simulator", help="Simulator: auto, " + ", ".join(SIMULATORS))]
RunSteps = Annotated[int | None, typer.Option("--steps", help="Time steps, instead of the network's own.")]
LabelledSamples = Annotated[
    Path, typer.Option("--data", help="Samples: .npz or .safetensors with 'inputs' and 'targets'.")
]
ClassNames = Annotated[Path | None, typer.Option("--names", help="Names of the classes, one per line.")]
BatchSize = Annotated[int, typer.Option("--batch", help="Samples per batch.")]
Analog = Annotated[
    list[str] | None,
    typer.Option(
        help="Module or operation behind the last population whose weights may stay real-valued; may be repeated."
    ),
]


def writable(path: Path | None) -> Path | None:
    """``path``, where a file can be written, before the work whose result it is to hold; raises ``StorageError``."""
    if path is not None and is_first() and not _is_stream(path):
        check_writable(path)
    return path


def _network_file(path: Path) -> Path:
    """``path``, as ``writable``, where no file of another kind lies, such as the weights that are converted."""
    kind = kind_of(path)
    if kind not in (None, NETWORK, FOLDER):
        raise StorageError(f"{path} holds {kind.name}, and would be replaced: name another file, such as network.snn")
    writable(path)
    return path


def drawable(path: Path) -> Path:
    """``path``, where a picture can be written in the format of its suffix, before it is measured what it shows.

    Raises ``StorageError``, and ``ConfigurationError`` for a suffix of no format.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise ConfigurationError("plots need matplotlib: pip install 'snnconv[plots]'") from error
    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise ConfigurationError(
            f"--output {path}: its suffix says the format of a picture, one of {', '.join(sorted(formats))}"
        )
    writable(path)
    return path


def _at_least_one(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise ConfigurationError(f"--limit must be at least 1, got {limit}")
    return limit


def _usable(device: str) -> str:
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # the last where tensors have no values
        raise ConfigurationError(f"--device {device} cannot be used: {str(error).splitlines()[0]}") from error
    return device


Json = Annotated[
    Path | None,
    typer.Option("--json", callback=writable, help="Write all figures to this JSON file.", rich_help_panel=RUNNING),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        callback=_at_least_one,
        help="Take only so many samples or pictures of those given, the first ones.",
        rich_help_panel=RUNNING,
    ),
]
NetworkOutput = Annotated[
    Path, typer.Option("--output", "-o", callback=_network_file, help="File to write, for instance network.snn.")
]
Calibration = Annotated[Path, typer.Option(help="Samples: .npz or .safetensors with 'inputs', or .npy.")]
JUDGES: dict[str, TargetJudge | None] = {
    "auto": None,
    "class": ClassJudge(),
    "label": LabelJudge(),
    "value": ValueJudge(),
}
JudgeName = Annotated[
    str,
    typer.Option(
        "--judge",
        help="What targets are: class (indices), label (0 or 1, of logits), value; auto tells by targets and output.",
    ),
]
Parts = Annotated[
    int,
    typer.Option(
        help="Parts of a batch, each with loss and draws of its own; processes of torchrun share them, at most as many."
    ),
]
CheckpointFile = Annotated[
    Path | None, typer.Option("--checkpoint", help="Written after every epoch; training resumes from it if it exists.")
]
Device = Annotated[
    str,
    typer.Option("--device", callback=_usable, help="Where to compute, such as cpu or cuda.", rich_help_panel=RUNNING),
]
WorkerCount = Annotated[
    str | None,
    typer.Option(
        "--workers",
        help="Processes that share the work, of one thread each: a number, or auto for all cores.",
        rich_help_panel=RUNNING,
    ),
]
IgnoreIndex = Annotated[int, typer.Option(help="Integer target that leaves its sample or position out.")]


def judge_of(name: str) -> TargetJudge | None:
    """The judge called ``name``; ``None`` for the one that fits."""
    if name not in JUDGES:
        raise ConfigurationError(f"--judge: unknown judge {name!r}; known: {', '.join(JUDGES)}")
    return JUDGES[name]


def kept_by_checkpoint(checkpoint: Path | None) -> str:
    """What an interrupted training has come to."""
    if checkpoint is None:
        return "no epoch is kept; with --checkpoint FILE the same command goes on where it stopped"
    return f"the epochs that were finished are in {checkpoint}; the same command goes on from there"


def workers_of(text: str | None) -> int | Literal["auto"] | None:
    """The number of processes that ``text`` means; raises ``ConfigurationError``."""
    if text is None:
        return None
    try:
        return "auto" if text == "auto" else number_of(int(text))
    except ValueError:
        raise ConfigurationError(f"--workers must be a number of at least 1, or auto, got {text!r}") from None


def write_json(path: Path | None, figures: Any) -> None:
    """Write ``figures`` to ``path`` if there is one: a file as a whole, a device or a pipe as they come."""
    if path is None or not is_first():
        return
    content = (json.dumps(figures, indent=2) + "\n").encode()
    if _is_stream(path):
        try:
            path.write_bytes(content)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    else:
        write_whole(path, content)


def show(text: str, path: Path | None, figures: Any) -> None:
    """Write ``figures`` to ``path`` if there is one, then print ``text``, whose reader may take no more."""
    try:
        write_json(path, figures)
    except StorageError:  # what was measured is not lost with it
        console.print(text, markup=False)
        raise
    with kept(lambda: "" if path is None else f"{path} is written"):
        console.print(text, markup=False)


def _is_stream(path: Path) -> bool:
    """Whether ``path`` is a device or a pipe, which take what comes."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def folder(path: Path) -> Path:
    """``path`` as a folder, made if it is not there, by the first of several processes."""
    try:
        if is_first():
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be made a folder: {error.strerror or error}") from error
    return path
