"""Steps of a stream are the same to the bit whatever computes them, one by one or together: every neuron and code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from coding import Burst, Code, Phase, Rate
from neurons import CorrectiveIntegrateFire, IntegrateFire, Neuron, SignedIntegrateFire
from neurons.step_form import step_form_of
from snnconv.kernels.backends import backend, native
from snnconv.kernels.stream_steps import Span, Steps
from tests.support.windows import LAYOUTS, ODD, same_bits

CODES = {
    "rate": Rate(8),
    "phase": Phase(4),
    "burst": Burst(8),
    "burst, few bits": Burst(8, threshold=0.3, gain=1.7, largest_gain=3.0),
}
NEURONS: dict[str, Callable[[Code], Neuron]] = {
    "integrate-fire": IntegrateFire,
    "to zero": lambda code: IntegrateFire(code, "zero", 0.25),
    "corrective": lambda code: CorrectiveIntegrateFire(code, 0.4, 0.3),
    "graded": lambda code: SignedIntegrateFire(code, 0.1),
    "graded identity": lambda code: SignedIntegrateFire(code, 1.0),
    "imbalanced": lambda code: SignedIntegrateFire(code, 0.3, "imbalanced"),
}
STEPS = 6


def advanced(steps: Steps, currents: Tensor, together: int, watched: bool, own: bool) -> list[Tensor]:
    """Payloads of all steps, ``together`` at a time, the state that is left, spikes, and what was seen meanwhile."""
    state, spikes, samples = None, torch.zeros(()), currents.shape[0] // STEPS
    sent: list[Tensor] = []
    seen: list[Tensor] = []
    for first in range(0, STEPS, together):
        span = Span(first, together, samples, shifting=watched)
        current = currents[first * samples : (first + together) * samples].clone()
        watch = (lambda _, payload: seen.append(payload.clone())) if watched else None
        found = steps.advance(current, state, span, own=own, counted=True, watch=watch)
        state, spikes = found.state, spikes + found.spikes
        sent.append(found.decoded)
    return [torch.cat(sent), spikes, *(part for part in state if part is not None), *seen]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("neuron", NEURONS)
def test_backends_agree_to_the_bit(neuron: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(STEPS * 4, 5, 3, 7, generator=generator, dtype=torch.float64).to(dtype)
    drawn.view(-1)[: len(ODD)] = torch.tensor(ODD, dtype=torch.float64).to(dtype)
    scale, shift = torch.rand(5, generator=generator).to(dtype) + 0.5, torch.randn(5, generator=generator).to(dtype) / 8
    assert native("stream_steps_numba", dtype, torch.device("cpu")) is not None
    for code in CODES.values():
        for layout, size in (("contiguous", 5), ("channels last", 5), ("transposed", 1)):
            axis = 1 if size > 1 else None
            steps = Steps(NEURONS[neuron](code), axis, scale[:size], shift[:size], batched=True)
            assert step_form_of(steps.neuron, dtype) is not None
            currents, watched = LAYOUTS[layout](drawn), layout == "contiguous"
            with backend("torch"):
                wanted = advanced(steps, currents, 1, watched, own=True)
                together = advanced(steps, currents, 3, watched, own=False)
            for found in (together, *(advanced(steps, currents, count, watched, count == 3) for count in (1, 3))):
                for mine, other in zip(found, wanted, strict=True):
                    assert same_bits(mine, other), (code, layout)
