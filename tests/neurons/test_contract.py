from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from coding import Rate
from neurons import (
    NEURONS,
    CorrectiveIntegrateFire,
    IntegrateFire,
    Neuron,
    NorseNeuron,
    SignedIntegrateFire,
    SignedWindow,
    SnntorchNeuron,
    register_neuron,
)

STEPS = 12


def snntorch_leaky() -> Neuron:
    import snntorch

    return SnntorchNeuron(snntorch.Leaky(beta=1.0, reset_mechanism="subtract"))


def norse_iaf() -> Neuron:
    from norse.torch import IAFCell

    return NorseNeuron(IAFCell())


FAMILY: dict[str, Callable[[], Neuron]] = {
    "subtract": lambda: IntegrateFire(Rate(STEPS)),
    "zero": lambda: IntegrateFire(Rate(STEPS), "zero"),
    "signed": lambda: SignedIntegrateFire(Rate(STEPS), 0.25),
    "identity": lambda: SignedIntegrateFire(Rate(STEPS), 1.0),
    "imbalanced": lambda: SignedIntegrateFire(Rate(STEPS), 0.25, "imbalanced"),
    "corrective": lambda: CorrectiveIntegrateFire(Rate(STEPS)),
    "signed window": lambda: SignedWindow(Rate(STEPS), 0.25),
    "graded signed window": lambda: SignedWindow(Rate(STEPS), 0.25, "graded"),
    "snntorch": snntorch_leaky,
    "norse": norse_iaf,
}


@pytest.fixture(params=FAMILY)
def neuron(request: pytest.FixtureRequest) -> Neuron:
    return FAMILY[request.param]()


def random_currents(dtype: torch.dtype, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randint(-1500, 2000, (STEPS, 5, 3, 4), generator=generator) / 1024).to(dtype)


def simulate(neuron: Neuron, inputs: Tensor) -> tuple[Tensor, Any]:
    state = neuron.initial(inputs[0])
    payloads = []
    for t, current in enumerate(inputs):
        payload, state = neuron.step(current.clone(), state, t)
        payloads.append(payload.clone())
    return torch.stack(payloads), state


def tensors(state: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]


def test_it_follows_the_contract(neuron: Neuron) -> None:
    assert isinstance(neuron, Neuron)
    assert neuron.update_cost.words >= 1 and min(neuron.update_cost) >= 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_and_payloads_have_the_shape_and_precision_of_the_current(neuron: Neuron, dtype: torch.dtype) -> None:
    inputs = random_currents(dtype)
    state = neuron.initial(inputs[0])
    for _ in range(2):
        assert tensors(state)
        for tensor in tensors(state):
            assert (tensor.shape, tensor.dtype) == (inputs[0].shape, dtype)
        payload, state = neuron.step(inputs[0].clone(), state, 0)
        assert (payload.shape, payload.dtype) == (inputs[0].shape, dtype)


def test_the_initial_state_lies_where_the_current_lies(neuron: Neuron) -> None:
    like = torch.empty(2, 3, device="meta")
    for tensor in tensors(neuron.initial(like)):
        assert tensor.device == like.device


@pytest.mark.parametrize(
    "inverse_scale", [0.25, 4.0, torch.tensor([0.5, 1.0, 2.0, 0.25])], ids=["weak", "strong", "by channel"]
)
def test_the_inverse_scale_multiplies_the_current(neuron: Neuron, inverse_scale: Tensor | float) -> None:
    inputs = random_currents(torch.float32)
    expected, _ = simulate(neuron, inputs * inverse_scale)
    state = neuron.initial(inputs[0])
    for t, current in enumerate(inputs):
        payload, state = neuron.step(current.clone(), state, t, inverse_scale)
        assert torch.equal(payload, expected[t])


def test_the_caller_may_change_a_payload(neuron: Neuron) -> None:
    inputs = random_currents(torch.float32)
    expected, _ = simulate(neuron, inputs)
    state = neuron.initial(inputs[0])
    for t, current in enumerate(inputs):
        payload, state = neuron.step(current.clone(), state, t)
        assert torch.equal(payload, expected[t])
        payload.fill_(99.0)


def test_a_second_simulation_starts_afresh(neuron: Neuron) -> None:
    first, _ = simulate(neuron, random_currents(torch.float32, seed=0))
    simulate(neuron, random_currents(torch.float32, seed=1))
    again, _ = simulate(neuron, random_currents(torch.float32, seed=0))
    assert torch.equal(first, again)


def test_samples_do_not_influence_each_other(neuron: Neuron) -> None:
    inputs = random_currents(torch.float32)
    together, _ = simulate(neuron, inputs)
    alone, _ = simulate(neuron, inputs[:, 2:3])
    assert torch.equal(together[:, 2:3], alone)


def test_unit_payload_says_whether_every_payload_is_zero_or_one(neuron: Neuron) -> None:
    payloads, _ = simulate(neuron, random_currents(torch.float32))
    assert bool(payloads.any())
    assert neuron.unit_payload == (set(payloads.unique().tolist()) <= {0.0, 1.0})


def test_a_strong_positive_drive_fires_every_step(neuron: Neuron) -> None:
    payloads, _ = simulate(neuron, torch.full((STEPS, 1, 2), 1.5))
    assert bool((payloads == 1).all())


def test_a_neuron_of_ones_own_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEURONS, "own", IntegrateFire)
    register_neuron("own", SignedIntegrateFire)
    assert NEURONS["own"] is SignedIntegrateFire
