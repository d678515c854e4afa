"""The public check over variants that the registry cannot make, and what only neurons of this project promise."""

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
    IntegrateFire,
    Neuron,
    NorseNeuron,
    SignedIntegrateFire,
    SignedWindow,
    SnntorchNeuron,
    register_neuron,
)
from snnconv.testing import check_neuron
from tests.support.neuron_examples import example

STEPS = 12


def snntorch_leaky() -> Neuron:
    import snntorch

    return SnntorchNeuron(snntorch.Leaky(beta=1.0, reset_mechanism="subtract"))


def norse_iaf() -> Neuron:
    from norse.torch import IAFCell

    return NorseNeuron(IAFCell())


#: Options other than the defaults with which the registry is checked, and adapters, which hold a module.
VARIANTS: dict[str, Callable[[], Neuron]] = {
    "reset to zero": lambda: IntegrateFire(Rate(STEPS), "zero"),
    "identity": lambda: SignedIntegrateFire(Rate(STEPS), 1.0),
    "imbalanced": lambda: SignedIntegrateFire(Rate(STEPS), 0.25, "imbalanced"),
    "graded window": lambda: SignedWindow(Rate(STEPS), 0.25, "graded"),
    "snntorch": snntorch_leaky,
    "norse": norse_iaf,
}
ALL = [*NEURONS, *VARIANTS]


def made(name: str) -> Neuron:
    return VARIANTS[name]() if name in VARIANTS else example(NEURONS[name], Rate(STEPS))


def random_currents(dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.randint(-1500, 2000, (STEPS, 5, 3, 4), generator=generator) / 1024).to(dtype)


def simulate(neuron: Neuron, inputs: Tensor) -> Tensor:
    state = neuron.initial(inputs[0])
    payloads = []
    for t, current in enumerate(inputs):
        payload, state = neuron.step(current.clone(), state, t)
        payloads.append(payload.clone())
    return torch.stack(payloads)


def tensors(state: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_keeps_the_promises_of_a_neuron(name: str) -> None:
    check_neuron(made(name))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ALL)
def test_states_have_the_shape_and_precision_of_the_current(name: str, dtype: torch.dtype) -> None:
    neuron, inputs = made(name), random_currents(dtype)
    state = neuron.initial(inputs[0])
    for _ in range(2):
        assert {(tensor.shape, tensor.dtype) for tensor in tensors(state)} == {(inputs[0].shape, dtype)}
        _, state = neuron.step(inputs[0].clone(), state, 0)


@pytest.mark.parametrize("name", ALL)
def test_payloads_other_than_zero_and_one_are_told_of(name: str) -> None:
    neuron = made(name)
    assert neuron.unit_payload == (set(simulate(neuron, random_currents(torch.float32)).unique().tolist()) <= {0, 1})


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("double-exponential")])
def test_a_strong_positive_drive_fires_every_step(name: str) -> None:
    assert bool((simulate(made(name), torch.full((STEPS, 1, 2), 1.5)) == 1).all())


def test_a_neuron_of_ones_own_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEURONS, "own", IntegrateFire)
    register_neuron("own", SignedIntegrateFire)
    assert NEURONS["own"] is SignedIntegrateFire
