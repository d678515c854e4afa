"""What training refuses before its first step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from snnconv.errors import ConfigurationError, InputError, ModelError
from snnconv.learning.network import LayeredNetwork
from snnconv.learning.samples import SpikeSamples
from snnconv.training.options import check_integers, check_precision


def check_options(
    epochs: int, batch: int, probe: int, seed: int, clip: float | None, patience: int | None, validation: object
) -> None:
    """Raise ``ConfigurationError`` for a number out of range."""
    check_integers(1, epochs=epochs, batch=batch, probe=probe)
    check_integers(0, seed=seed)
    if clip is not None and not (isinstance(clip, (int, float)) and clip > 0.0):
        raise ConfigurationError(f"clip must be positive or None, got {clip!r}")
    if patience is not None:
        check_integers(1, patience=patience)
        if validation is None:
            raise ConfigurationError(f"patience={patience} needs validation samples, to tell which epoch is better")


def check_samples(samples: Any, network: LayeredNetwork, what: str) -> None:
    """Raise ``InputError`` for what are no samples, or none for ``network``."""
    if not isinstance(samples, SpikeSamples):
        raise InputError(
            f"{what} are a {type(samples).__name__}; pass EncodedSamples(values, labels, encoder), EventSamples, "
            "TrainSamples, or an object with the attributes of SpikeSamples"
        )
    if samples.inputs != network.sizes[0]:
        raise InputError(f"{what} have {samples.inputs} input neurons, the network {network.sizes[0]}")
    largest = -1 if samples.labels is None else int(samples.labels.max())
    if largest >= network.classes:
        raise InputError(f"{what}: a label is {largest}; the network has classes 0 to {network.classes - 1}")


def check_validation(samples: Any, network: LayeredNetwork) -> None:
    """Raise ``InputError`` for samples without labels, by which the best epoch is found."""
    check_samples(samples, network, "validation")
    if samples.labels is None:
        raise InputError("validation samples need labels, to find the best epoch; or leave validation out")


def check_trainable(network: LayeredNetwork) -> None:
    """Raise ``ModelError`` for a network without a parameter that can learn, or in a precision that is too low."""
    parameters = list(network.parameters())
    check_precision(network)
    if not any(parameter.requires_grad for parameter in parameters):
        raise ModelError("no parameter of the network requires a gradient; call network.requires_grad_() first")
    if any(parameter.is_inference() for parameter in parameters):
        raise ModelError("the network was made under torch.inference_mode and has no gradients; make it outside")


def made_optimizer(make: Callable[[Iterable[Parameter]], Optimizer], network: LayeredNetwork) -> Optimizer:
    """The optimiser of ``network``; raises ``ConfigurationError`` for one that training cannot step."""
    example = "pass a function that makes one, such as lambda parameters: torch.optim.Adam(parameters, lr=1e-3)"
    if isinstance(make, Optimizer) or not callable(make):
        raise ConfigurationError(f"optimizer is a {type(make).__name__}, no function; {example}")
    optimizer = make(list(network.parameters()))
    if not isinstance(optimizer, Optimizer):
        raise ConfigurationError(f"optimizer made a {type(optimizer).__name__}, no torch.optim.Optimizer; {example}")
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ConfigurationError(
            f"{type(optimizer).__name__} evaluates the loss several times per step (closure), and training once; take "
            "another optimiser, such as Adam"
        )
    own = {id(parameter) for parameter in network.parameters()}
    if any(id(parameter) not in own for group in optimizer.param_groups for parameter in group["params"]):
        raise ConfigurationError("optimizer holds tensors that are no parameters of the network; give it those it gets")
    return optimizer


def made_schedule(make: Callable[[Optimizer], LRScheduler] | None, optimizer: Optimizer) -> LRScheduler | None:
    """The schedule of ``optimizer``; raises ``ConfigurationError`` for what is none."""
    if make is None:
        return None
    example = "pass a function that makes one, such as lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 10)"
    if isinstance(make, LRScheduler) or not callable(make):
        raise ConfigurationError(f"scheduler is a {type(make).__name__}, no function; {example}")
    schedule = make(optimizer)
    if not isinstance(schedule, LRScheduler) or getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise ConfigurationError(f"scheduler made no schedule of the optimiser it got; {example}")
    return schedule


def limit_of(clip: float | None) -> float | None:
    """Where gradients are clipped; ``None`` where they are not."""
    return None if clip is None or math.isinf(clip) else float(clip)
