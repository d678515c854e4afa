"""Models that a command line can name: an exported program, a module, or a function that builds one."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import nn
from torch.export import ExportedProgram

from snnconv.cli.console import errors
from snnconv.cli.weights import load_weights
from snnconv.data.arrays import check_unpacked
from snnconv.data.file_kinds import PROGRAM, kind_of, unreadable
from snnconv.errors import ConfigurationError, ModelError


def load_model(name: str, weights: Path | None, *, trust: bool = False) -> nn.Module | ExportedProgram:
    """As ``build_model``, for what depends on weights: a line of standard error says where nobody gave any."""
    model, built = _model(name, weights, trust)
    if built and weights is None and isinstance(model, nn.Module) and any(True for _ in model.parameters()):
        errors.print(
            f"warning: no --weights were given, so the weights are those that {name} makes: unless it loads trained "
            "ones itself, they are random, and all figures are those of an untrained network",
            style="yellow",
            markup=False,
        )
    return model


def build_model(name: str, weights: Path | None, *, trust: bool = False) -> nn.Module | ExportedProgram:
    """The model that ``name`` means: a ``.pt2`` file, or ``package.module:name`` of a module or of what builds one.

    A function or class is called without arguments. ``weights`` are read as ``load_weights`` does. ``trust`` says that
    whoever wrote a ``.pt2`` may run code here, as its reader in torch lets them. Raises ``ModelError``, and
    ``ConfigurationError`` for ``trust`` in another model.
    """
    return _model(name, weights, trust)[0]


def moved(model: nn.Module | ExportedProgram, device: str | torch.device) -> nn.Module | ExportedProgram:
    """``model`` on ``device``."""
    if isinstance(model, nn.Module):
        return model.to(device)
    from torch.export.passes import move_to_device_pass  # here, because few need it

    return model if torch.device(device).type == "cpu" else move_to_device_pass(model, device)


def reference_model(name: str, weights: Path | None, device: str | torch.device, *, trust: bool) -> nn.Module | None:
    """The original that a network is compared with, as ``load_model`` finds it, on ``device``; ``None`` for no name."""
    if not name:
        return None
    found = moved(load_model(name, weights, trust=trust), device)
    return found if isinstance(found, nn.Module) else found.module()


def _model(name: str, weights: Path | None, trust: bool) -> tuple[nn.Module | ExportedProgram, bool]:
    """The model, and whether a call built it."""
    if name.endswith(".pt2"):
        if weights is not None:
            raise ModelError(f"{name} brings its own weights; leave --weights out")
        return _program(name, trust), False
    if trust:
        raise ConfigurationError(f"--trust: it is for a .pt2, and {name} is none: leave it out")
    found = _named(name)
    model = found if isinstance(found, nn.Module) else _built(name, found)
    if weights is not None:
        load_weights(model, weights)
    return model, model is not found


def _program(name: str, trust: bool) -> ExportedProgram:
    if kind_of(name) is not PROGRAM:  # torch would log a traceback of its own
        raise ModelError(unreadable(name, PROGRAM, "it is damaged, or not of torch.export"))
    if not trust:
        raise ModelError(
            f"{name} is {PROGRAM.name}, and reading one can run code of its author: torch unpickles parts of it and "
            "evaluates expressions in it. Give --trust if you trust whoever wrote it; from others take the model as "
            "Python that you have read, and its weights as safetensors"
        )
    try:
        with ZipFile(name) as archive:
            check_unpacked(archive, Path(name).stat().st_size)
        return torch.export.load(name)
    except Exception as error:  # torch raises many kinds here, none of its own
        raise ModelError(unreadable(name, PROGRAM, error)) from error


def _named(name: str) -> Any:
    """The module, function or class that ``package.module:name`` names."""
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        kind = kind_of(name)
        hint = "" if kind is None else f"; there is a file of that name, {kind.name}: {kind.taken}"
        raise ModelError(f"{name!r} is neither a .pt2 file nor of the form package.module:function{hint}")
    if module_name.endswith(".py"):
        plain = module_name.removesuffix(".py").replace("/", ".")
        raise ModelError(f"{name!r} names a file; name the module, without .py: {plain}:{attribute}")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except SystemExit as error:
        raise ModelError(
            f"module {module_name} cannot be imported: it ends the program; put what it runs under "
            "if __name__ == '__main__':"
        ) from error
    except Exception as error:  # whatever the user's module raises
        missing = isinstance(error, ModuleNotFoundError) and error.name in (module_name, module_name.partition(".")[0])
        where = (
            f"; it is looked for in the current folder, {folder}, and where Python finds packages" if missing else ""
        )
        raise ModelError(f"module {module_name} cannot be imported: {_told(error)}{where}") from error
    finally:  # behind everything else, for what the user's code imports when it is called
        sys.path.remove(folder)
        sys.path.extend({folder} - {*sys.path})
    found = getattr(module, attribute, None)
    if not callable(found):
        names = [name for name, value in vars(module).items() if callable(value)]
        near = difflib.get_close_matches(attribute, names, 1)
        hint = f"; did you mean {module_name}:{near[0]}?" if near else ""
        raise ModelError(f"module {module_name} has no function {attribute!r}{hint}")
    return found


def _built(name: str, function: Callable[..., Any]) -> nn.Module:
    """What ``function`` returns, called without arguments."""
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        plain = name.partition(":")[2]
        raise ModelError(
            f"{name} must be callable without arguments: {error}; write a function that gives them, such as "
            f"def make(): return {plain}(...), and name that"
        ) from error
    except ValueError:  # what is not written in Python may have no signature
        pass
    try:
        model = function()
    except Exception as error:  # whatever the user's function raises
        raise ModelError(f"{name} could not be called: {_told(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"{name} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _told(error: Exception) -> str:
    """An error of the user's own code, with the line it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames[1:] if "importlib" not in frame.filename]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}{place}"
