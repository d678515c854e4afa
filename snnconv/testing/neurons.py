"""What every neuron promises."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from neurons import BiasedNeuron, Neuron, ScoringNeuron, WindowNeuron
from snnconv.surroundings import own_surroundings
from snnconv.testing.require import require, require_close, require_frozen

_STEPS = 12


@own_surroundings()
def check_neuron(neuron: Neuron) -> None:
    """Check that ``neuron`` keeps what every neuron promises, and what its further contracts add.

    Args:
        neuron: The neuron; its code, if it has one, has all its hyper-parameters.

    Raises:
        AssertionError: A promise is broken; the text says which.
    """
    what = type(neuron).__name__
    require(isinstance(neuron, Neuron), f"{what} must have unit_payload, update_cost, initial and step")
    require_frozen(neuron)
    cost = neuron.update_cost
    require(cost.words >= 1 and min(cost) >= 0, f"{what}: an update reads and writes at least its own state")
    for dtype in (torch.float32, torch.float64):
        _check_steps(neuron, _currents(dtype))
    like = torch.empty(2, 3, device="meta")
    placed = all(tensor.device == like.device for tensor in _tensors(neuron.initial(like)))
    require(placed, f"{what}: the initial state must lie where the currents lie")
    if isinstance(neuron, WindowNeuron):
        _check_window(neuron)
    if isinstance(neuron, BiasedNeuron):
        _check_bias(neuron)
    if isinstance(neuron, ScoringNeuron):
        _check_score(neuron)


def _currents(dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Multiples of 1 / 1024, ``[T, N, ...]``: sums of them are exact."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randint(-1500, 2000, (_STEPS, 5, 3, 4), generator=generator) / 1024).to(dtype)


def _tensors(state: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]


def _simulated(neuron: Neuron, currents: Tensor, factor: Tensor | float = 1.0, spoil: bool = False) -> Tensor:
    """Payloads ``[T, ...]``; with ``spoil`` every payload is overwritten once it was read."""
    state, payloads = neuron.initial(currents[0]), []
    for t, current in enumerate(currents):
        payload, state = neuron.step(current.clone(), state, t, factor)
        payloads.append(payload.clone())
        if spoil:
            payload.fill_(99.0)
    return torch.stack(payloads)


def _check_steps(neuron: Neuron, currents: Tensor) -> None:
    what, expected = type(neuron).__name__, _simulated(neuron, currents)
    state = neuron.initial(currents[0])
    require(bool(_tensors(state)), f"{what} must have a state that holds a tensor")
    payload, after = neuron.step(currents[0].clone(), state, 0)
    for tensor in (payload, *_tensors(neuron.initial(currents[0])), *_tensors(after)):
        batch = tensor.shape[0] == currents.shape[1]
        require(batch, f"{what}: the first axis of every tensor of the state must be the batch")
    alike = (payload.shape, payload.dtype) == (currents[0].shape, currents.dtype)
    require(alike, f"{what}: a payload must have the shape and precision of the current")
    require(bool(expected.any()), f"{what} must fire for currents of up to twice its scale")
    if neuron.unit_payload:
        require(bool(((expected == 0) | (expected == 1)).all()), f"{what}: unit_payload promises payloads of 0 and 1")
    for factor in (0.25, 4.0, torch.tensor([0.5, 1.0, 2.0, 0.25], dtype=currents.dtype)):
        scaled = torch.equal(_simulated(neuron, currents, factor), _simulated(neuron, currents * factor))
        require(scaled, f"{what}: the inverse scale must multiply the current")
    spoilt = torch.equal(_simulated(neuron, currents, spoil=True), expected)
    require(spoilt, f"{what}: a payload must be no part of the state, since the caller may change it")
    _simulated(neuron, _currents(currents.dtype, seed=1))
    require(torch.equal(_simulated(neuron, currents), expected), f"{what}: a second simulation must start afresh")
    alone = torch.equal(_simulated(neuron, currents[:, 2:3]), expected[:, 2:3])
    require(alone, f"{what}: samples must not influence each other")


def _check_window(neuron: WindowNeuron) -> None:
    """The closed form of a window is what firing step by step gives, on ties too."""
    if not neuron.closed_form:
        return
    what, code = type(neuron).__name__, cast(Any, neuron).code
    values = torch.cat([_currents(torch.float64)[0].flatten(), torch.linspace(-1.5, 1.5, 97, dtype=torch.float64)])
    values = torch.cat([values, neuron.window(values).values])
    state = neuron.listen(values.clone(), neuron.initial(values), float(code.steps // code.period))
    total, spikes = torch.zeros_like(values), torch.zeros_like(values)
    for t in range(code.steps):
        payload, state = neuron.fire(state, t)
        total += payload
        spikes += payload != 0
    found = neuron.window(values)
    decoded = total * (code.period / code.steps)
    require_close(found.values, decoded, f"{what}: window must give what fire does step by step", 1e-13)
    counted = found.spikes is not None and torch.equal(found.spikes, spikes)
    require(counted, f"{what}: window must count the spikes that fire makes step by step")
    uncounted = neuron.window(values, False).values
    require(torch.equal(uncounted, found.values), f"{what}: counting must not change the values of a window")


def _check_bias(neuron: BiasedNeuron) -> None:
    currents = _currents(torch.float64)
    state, payloads = neuron.initial(currents[0]), []
    for t, current in enumerate(currents):
        payload, state = neuron.biased_step(current.clone(), state, t, 1.0, None)
        payloads.append(payload.clone())
    alike = torch.equal(torch.stack(payloads), _simulated(neuron, currents))
    require(alike, f"{type(neuron).__name__}: biased_step without a bias must be step")


def _check_score(neuron: ScoringNeuron) -> None:
    what, currents = type(neuron).__name__, _currents(torch.float64)[:, :, 0]
    state, counts = neuron.initial(currents[0]), torch.zeros_like(currents[0])
    for t, current in enumerate(currents):
        payload, state = neuron.step(current.clone(), state, t)
        counts += payload
    scores = neuron.score(counts, state, _STEPS)
    require(torch.equal(scores.floor(), counts), f"{what}: the whole part of a score must be the number of spikes")
    require(bool((scores[counts == 0] == 0).all()), f"{what}: a neuron that has not fired must have the score 0")
