"""Models that a command line can name: an exported program, or a function that builds the model."""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
from pathlib import Path
from zipfile import BadZipFile

import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.export import ExportedProgram

from snnconv.errors import ModelError


def load_model(name: str, weights: Path | None) -> nn.Module | ExportedProgram:
    """The model that ``name`` means: a ``.pt2`` file, or ``package.module:function`` called without arguments.

    ``weights`` is a safetensors file, or one that ``torch.load(weights_only=True)`` reads. Raises ``ModelError``.
    """
    if name.endswith(".pt2"):
        if weights is not None:
            raise ModelError(f"{name} brings its own weights; leave --weights out")
        if not Path(name).is_file():  # torch logs a traceback of its own
            raise ModelError(f"{name} cannot be read as an exported program: there is no such file")
        try:
            return torch.export.load(name)
        except Exception as error:  # torch raises many kinds here, none of its own
            raise ModelError(f"{name} cannot be read as an exported program: {error}") from error
    model = _build(name)
    if weights is not None:
        _load_weights(model, weights)
    return model


def _build(name: str) -> nn.Module:
    module_name, colon, function_name = name.partition(":")
    if not (module_name and colon and function_name):
        raise ModelError(f"{name!r} is neither a .pt2 file nor of the form package.module:function")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelError(f"module {module_name} cannot be imported: {error}") from error
    finally:
        sys.path.pop(0)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(f"module {module_name} has no function {function_name!r}")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise ModelError(f"{name} must be callable without arguments: {error}") from error
    except ValueError:  # what is not written in Python may have no signature
        pass
    model = function()
    if not isinstance(model, nn.Module):
        raise ModelError(f"{name} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _load_weights(model: nn.Module, weights: Path) -> None:
    try:
        if weights.suffix == ".safetensors":
            state = safetensors.torch.load_file(weights)
        else:
            state = torch.load(weights, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, BadZipFile, pickle.UnpicklingError, safetensors.SafetensorError) as error:
        raise ModelError(f"{weights} cannot be read as weights: {error}") from error
    if not isinstance(state, dict):
        raise ModelError(f"{weights} holds a {type(state).__name__}, not a state dict")
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{weights} does not fit the model: {error}") from error
    # Counters of batches seen say nothing about inference, and many published files lack them.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(f"{weights} does not fit the model: missing {missing}, unexpected {unexpected}")
