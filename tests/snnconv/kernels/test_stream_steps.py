"""Steps of a stream are the same to the bit whatever computes them, one by one or together: every neuron and code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from coding import Burst, Code, Phase, Rate
from neurons import CorrectiveIntegrateFire, IntegrateFire, Neuron, SignedIntegrateFire
from neurons.step_form import step_form_of
from snnconv.kernels.backends import Backend, backend, launch, native
from snnconv.kernels.stream_steps import Span, Steps
from tests.support.computing import COMPILERS, computed_by, device_of, interpreted, some_of
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
@pytest.mark.parametrize("name", COMPILERS)
def test_backends_agree_to_the_bit(name: Backend, neuron: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    samples = 2 if interpreted(name) else 4
    drawn = torch.randn(STEPS * samples, 5, 3, 7, generator=generator, dtype=torch.float64).to(dtype)
    drawn.view(-1)[: len(ODD)] = torch.tensor(ODD, dtype=torch.float64).to(dtype)
    scale, shift = torch.rand(5, generator=generator).to(dtype) + 0.5, torch.randn(5, generator=generator).to(dtype) / 8
    drawn, scale, shift = (each.to(device_of(name)) for each in (drawn, scale, shift))
    layouts, first = [("contiguous", 5), ("channels last", 5), ("transposed", 1)], list(NEURONS).index(neuron)
    for case, code in enumerate(CODES.values(), first):
        for layout, size in some_of(layouts, name, case):
            axis = 1 if size > 1 else None
            steps = Steps(NEURONS[neuron](code), axis, scale[:size], shift[:size], batched=True)
            assert step_form_of(steps.neuron, dtype) is not None
            currents, watched = LAYOUTS[layout](drawn), layout == "contiguous"
            with backend("torch"):
                wanted = advanced(steps, currents, 1, watched, own=True)
                assert_same(advanced(steps, currents, 3, watched, own=False), wanted, (code, layout))
            with computed_by(name, values=2**6 if watched else 2**7):
                assert native("stream_steps_numba", dtype, drawn.device) or launch("stream_steps_triton", drawn)
                for count, own in some_of([(3, True), (1, False), (6, True)], name, case // 3):
                    assert_same(advanced(steps, currents, count, watched, own), wanted, (code, layout))


def assert_same(found: list[Tensor], wanted: list[Tensor], what: object) -> None:
    for mine, other in zip(found, wanted, strict=True):
        assert same_bits(mine, other), what
