"""Kinds of models: wrappers are taken off, and modules that cannot be looked into are refused before anything runs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.export import ExportedProgram

from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError
from snnconv.errors import ModelError
from snnconv.graph.graph import Source

_SPIKING_LIBRARIES = ("snntorch", "norse", "spikingjelly", "sinabs", "bindsnet")
_OWN_SPIKING = ("snnconv.network", "snnconv.spiking", "snnconv.learning")
_OBSERVERS = ("FakeQuantizeBase", "ObserverBase")


def plain_model(model: object) -> nn.Module | ExportedProgram:
    """``model`` without what wraps it: ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``.

    Raises ``ModelError`` for what is no model, and ``UnsupportedModelError`` for TorchScript, quantized and spiking
    modules, which have no PyTorch code that could be converted; every one is listed.
    """
    if isinstance(model, ExportedProgram):
        return model
    while isinstance(model, nn.Module) and (inner := _wrapped(model)) is not None:
        model = inner
    if not isinstance(model, nn.Module):
        raise ModelError(f"model must be a torch.nn.Module or an ExportedProgram, got {type(model).__name__}")
    problems, inside = [], ""
    for path, module in model.named_modules():
        if inside and path.startswith(inside):
            continue  # what a refused module holds is refused with it
        for belongs, op, reason, remedy in _REFUSED:
            if belongs(module):
                kind = f"{type(module).__module__}.{type(module).__qualname__}"
                problems.append(Problem(op, Source(module=path, module_type=kind), reason, remedy))
                inside = f"{path}." if path else ""
                break
        if problems and not problems[-1].source.module:
            break  # the whole model
    if problems:
        raise UnsupportedModelError(Preflight((), tuple(problems)))
    return model


def _wrapped(model: nn.Module) -> object | None:
    """What ``model`` only wraps; ``None`` where it is a model of its own."""
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        wrapped: object = model.module
        return wrapped
    # The compiler is imported by nobody who does not compile, so its class is known by name.
    inner: object = getattr(model, "_orig_mod", None) if type(model).__name__ == "OptimizedModule" else None
    return inner


def _modules_of(*packages: str) -> Callable[[nn.Module], bool]:
    def belongs(module: nn.Module) -> bool:
        defined = type(module).__module__
        return any(defined == package or defined.startswith(f"{package}.") for package in packages)

    return belongs


def _spikes(module: nn.Module) -> bool:
    """Whether it is a neuron of another library, not a container that holds some, or a network of this one."""
    foreign, own = _modules_of(*_SPIKING_LIBRARIES), _modules_of(*_OWN_SPIKING)
    return own(module) or (foreign(module) and not any(map(foreign, module.children())))


def _is_observer(module: nn.Module) -> bool:
    return any(
        kind.__module__.startswith("torch.ao.quantization") and kind.__name__ in _OBSERVERS
        for kind in type(module).mro()
    )


#: Which modules are refused: a test, what they are called, why, and what to do.
_REFUSED: tuple[tuple[Callable[[nn.Module], bool], str, str, str], ...] = (
    (
        lambda module: isinstance(module, torch.jit.ScriptModule),
        "TorchScript",
        "a traced or scripted module has no Python code that could be followed",
        "give the Python module from which the script was made, with its weights: "
        "model.load_state_dict(script.state_dict())",
    ),
    (
        _modules_of("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse.quantized"),
        "quantized module",
        "its weights are packed whole numbers",
        "convert the model as it was before torch.ao.quantization.convert, in floating point",
    ),
    (
        _is_observer,
        "fake quantization",
        "an observer or a fake quantization, of a training for whole numbers, changes its own buffers at every call",
        "take observers and fake quantization out (put nn.Identity() in their place), or load the weights into the "
        "float model: model.load_state_dict(trained.state_dict(), strict=False); spikes round by themselves",
    ),
    (
        _spikes,
        "spiking module",
        "it is already spiking: it fires spikes and keeps a state from step to step",
        "convert the network of real numbers that it stands for, with relu in place of its neurons; neurons of "
        "snntorch and norse can be used with convert(..., neuron=snnconv.neurons.SnntorchNeuron(...))",
    ),
)
