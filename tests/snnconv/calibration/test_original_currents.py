"""The original's currents for bias correction: the same whether computed beside a network or kept for the next."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import snnconv
from coding import CodingPlan, FewSpike, OneSpike, Phase
from coding.plan import as_plan
from snnconv.calibration.assembly import Calibrated, Calibrator, assemble
from snnconv.calibration.options import Options
from tests.support.networks import make

CODES = (OneSpike(6), FewSpike(4), Phase(4), OneSpike(6))


def calibrated(plan: CodingPlan) -> Calibrated:
    model, x = make("deep", samples=60)
    return Calibrator(model, x, None).calibrated(plan, Options())


def shifts(found: Calibrated, plans: Sequence[CodingPlan]) -> list[list[Tensor]]:
    networks = [assemble(found, plan, Options()) for plan in plans]
    return [[population.shift for population in network.populations.values()] for network in networks]


@pytest.mark.parametrize("input_code", [None, Phase(8)], ids=str)
@pytest.mark.parametrize("most", [2**25, 0], ids=["kept", "not kept"])
def test_many_networks_of_one_calibration_are_those_of_one_each_to_the_bit(
    input_code: Phase | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnconv.calibration.original_currents._MOST_KEPT", most)
    plans = [as_plan(code, input_code, None) for code in CODES]
    together = shifts(calibrated(plans[0]), plans)
    alone = [shifts(calibrated(plan), [plan])[0] for plan in plans]
    assert any(bool(shift.any()) for row in together for shift in row)
    for found, wanted in zip(together, alone, strict=True):
        for one, other in zip(found, wanted, strict=True):
            assert torch.equal(one, other)


def test_currents_belong_to_what_the_input_presents() -> None:
    fine, coarse = (as_plan(FewSpike(4), Phase(steps), None) for steps in (8, 2))
    found = calibrated(fine)
    together = shifts(found, [fine, fine, coarse, coarse, fine, coarse])
    for plan, same in ((fine, (0, 1, 4)), (coarse, (2, 3, 5))):
        wanted = shifts(calibrated(plan), [plan])[0]
        assert all(torch.equal(one, other) for at in same for one, other in zip(together[at], wanted, strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(together[0], together[2], strict=True))


def test_an_original_that_was_cut_off_begins_anew() -> None:
    """A network whose correction is cancelled half-way leaves nothing that the next one would take for its own."""
    plan = as_plan(FewSpike(4), None, None)
    wanted, found = shifts(calibrated(plan), [plan])[0], calibrated(plan)

    def cancel(told: snnconv.Progress) -> None:
        if told.what == "correcting biases" and told.done == 1:
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            assemble(found, plan, Options(), cancel)
        for one, other in zip(shifts(found, [plan])[0], wanted, strict=True):
            assert torch.equal(one, other)
