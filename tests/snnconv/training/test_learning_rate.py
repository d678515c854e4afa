"""Learning rates: a warm-up with torch's cosine behind it."""

from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from snnconv.training.learning_rate import WarmUpCosine


@pytest.mark.parametrize("last", [0.0, 0.01])
@pytest.mark.parametrize(("steps", "warm"), [(100, 5), (7, 1), (30, 2)])
def test_it_rises_in_equal_parts_and_falls_as_torchs_cosine(steps: int, warm: int, last: float) -> None:
    rates = [WarmUpCosine(0.3, last).rate(step, steps) for step in range(steps)]
    assert rates[:warm] == pytest.approx([0.3 * (step + 1) / warm for step in range(warm)])
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    falling = CosineAnnealingLR(optimizer, T_max=steps - warm + 1, eta_min=0.3 * last)
    for rate in rates[warm - 1 :]:
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        falling.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.3 * last), "one step behind the last"
    assert min(rates) > 0.0


def test_every_group_gets_the_rate_of_the_step() -> None:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in (1.0, 2.0)]
    optimizer = torch.optim.SGD(groups)
    WarmUpCosine(0.5).before_step(optimizer, 0, 1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
