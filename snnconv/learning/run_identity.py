"""What tells one run of training from another, as text: a checkpoint goes on only with the run that wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from snnconv.learning.losses import SpikeLoss
from snnconv.learning.network import LayeredNetwork
from snnconv.learning.samples import SpikeSamples
from snnconv.storage.digests import option_text, qualified_name

#: The argument that has a run kept, for what errors say to leave out.
_FILE = "checkpoint"


def run_text(
    network: LayeredNetwork,
    samples: SpikeSamples,
    validation: SpikeSamples | None,
    loss: SpikeLoss,
    optimizer: Optimizer,
    schedule: LRScheduler | None,
    clip: float | None,
    **numbers: int | None,
) -> dict[str, str]:
    """Network, data and setting of a run; the weights that it starts from and the number of its epochs are no part.

    Raises ``ConfigurationError`` for a loss, an encoder or a schedule that cannot be recognised when a run is resumed.
    """
    others = "".join(f", {name} {value}" for name, value in numbers.items())
    return {
        "network": network_text(network),
        "data": f"{samples.digest()} {None if validation is None else validation.digest()}",
        "setting": f"{option_text('loss', loss, _FILE)}, {optimizer_text(optimizer, network)}, "
        f"{'no schedule' if schedule is None else schedule_text(schedule)}, "
        f"clip {math.inf if clip is None else float(clip)}{others}",
    }


def network_text(network: LayeredNetwork) -> str:
    """Layers, neuron, rule and precision of a network, and which of its parameters are not trained."""
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    return f"{qualified_name(type(network))} {network!r} {network.linear[0].weight.dtype} frozen {frozen}"


def optimizer_text(optimizer: Optimizer, network: LayeredNetwork) -> str:
    """The class of an optimiser, and the options and parameters of its groups."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = [
        {**group, "params": [names.get(id(parameter), "?") for parameter in group["params"]]}
        for group in optimizer.param_groups
    ]
    return f"{qualified_name(type(optimizer))} {groups}"


def schedule_text(schedule: Any) -> str:
    """A schedule before its first step, functions included, which torch leaves out of its state."""
    if isinstance(schedule, LRScheduler):
        own = {name: value for name, value in vars(schedule).items() if name != "optimizer"}
        return f"{qualified_name(type(schedule))} {schedule_text(own)}"
    if isinstance(schedule, Mapping):
        return "{" + ", ".join(f"{name!r}: {schedule_text(value)}" for name, value in schedule.items()) + "}"
    if isinstance(schedule, (list, tuple)):
        return "[" + ", ".join(map(schedule_text, schedule)) + "]"
    if isinstance(schedule, Tensor):
        return str(schedule.tolist())
    if isinstance(getattr(schedule, "__self__", None), LRScheduler):  # a method of what is told already
        return str(schedule.__qualname__)
    return option_text("scheduler", schedule, _FILE)
