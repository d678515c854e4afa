"""Networks and samples that tests of tuning share."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from coding import Code, OneSpike, Schedule
from snnconv import SpikingNetwork, TuningLog
from tests.support import conversion

ONE_SPIKE = OneSpike(4)


class Small(nn.Module):
    """Two convolutions, a sum of paths and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        before = torch.relu(self.first(images))
        after: Tensor = self.last(torch.relu(self.second(before) + before).mean((2, 3)))
        return 4.0 * after


def model() -> nn.Module:
    torch.manual_seed(3)
    return Small().eval()


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, 1, 1, generator=generator) + torch.rand(count, 2, 6, 6, generator=generator)


@cache
def converted(code: Code = ONE_SPIKE, schedule: Schedule | None = None) -> SpikingNetwork:
    """A network that no test changes."""
    return conversion.converted("tuned", lambda: (model(), images(60, 0)), coding=code, schedule=schedule)


def disturbed(code: Code = ONE_SPIKE) -> SpikingNetwork:
    return disturbed_copy(converted(code))


def disturbed_copy(network: SpikingNetwork) -> SpikingNetwork:
    """A network that every epoch makes better: its neurons hear a current that the original's do not."""
    network = network.with_()
    for population in network.populations.values():
        population.shift.add_(0.3 * population.scale)
    return network


def error(network: SpikingNetwork, original: nn.Module) -> float:
    """Mean squared error of the output on samples that nothing was fitted to."""
    unseen = images(300, 2)
    with torch.no_grad():
        return float((network(unseen) - original(unseen)).square().mean())


def tensors(network: SpikingNetwork) -> list[Tensor]:
    """Weights, scales and shifts; what else a state dict says of the network is measured on the data of the tuning."""
    return [tensor.clone() for _, tensor in sorted(network.state_dict().items()) if tensor.is_floating_point()]


def same(first: SpikingNetwork, second: SpikingNetwork) -> bool:
    return all(torch.equal(one, other) for one, other in zip(tensors(first), tensors(second), strict=True))


def log_of(network: SpikingNetwork) -> TuningLog:
    assert network.tuning_log is not None
    return network.tuning_log
