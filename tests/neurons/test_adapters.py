from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import ConfigurationError, Rate
from neurons import IntegrateFire, NorseNeuron, SnntorchNeuron

STEPS = 64


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def samples(count: int = 40) -> Tensor:
    return torch.rand(count, 6, generator=torch.Generator().manual_seed(1))


def leaky(**options: Any) -> Any:
    import snntorch

    return snntorch.Leaky(**{"beta": 1.0, "reset_mechanism": "subtract", **options})


def test_a_snntorch_neuron_drives_a_converted_network() -> None:
    x = samples()
    ours = snnconv.convert(network(), x, coding=Rate(STEPS))
    theirs = snnconv.convert(network(), x, coding=Rate(STEPS), neuron=SnntorchNeuron(leaky()))
    torch.testing.assert_close(theirs(x), ours(x), rtol=0, atol=1e-5)
    assert theirs.run(x).spikes == ours.run(x).spikes


def test_a_norse_cell_drives_a_converted_network() -> None:
    # norse fires strictly above its threshold, this project from 1 - 2^-20 on: the number just below makes both equal.
    from norse.torch import IAFCell, IAFParameters

    x = samples()
    threshold = torch.nextafter(torch.tensor(1 - 2.0**-20), torch.tensor(0.0))
    cell = IAFCell(p=IAFParameters(v_th=threshold, v_reset=torch.tensor(0.0)))
    reset = snnconv.convert(network(), x, coding=Rate(STEPS), neuron=lambda code: IntegrateFire(code, "zero"))
    norse = snnconv.convert(network(), x, coding=Rate(STEPS), neuron=NorseNeuron(cell))
    assert torch.equal(norse(x), reset(x))
    assert norse.run(x).spikes == reset.run(x).spikes


@pytest.mark.parametrize("options", [{}, {"init_hidden": True}, {"init_hidden": True, "output": True}])
def test_a_simulation_leaves_the_snntorch_module_as_it_was(options: dict[str, Any]) -> None:
    module = leaky(**options)
    module(torch.full((2, 6), 0.3)) if options else None
    state, attributes = copy.deepcopy(module.state_dict()), {k: module.__dict__[k] for k in ("init_hidden", "output")}
    membrane = module.mem.clone()
    snn = snnconv.convert(network(), samples(), coding=Rate(4), neuron=SnntorchNeuron(module))
    snn(samples(3))
    assert torch.equal(module.mem, membrane)
    assert {k: module.__dict__[k] for k in attributes} == attributes
    assert module.state_dict().keys() == state.keys()
    assert all(torch.equal(module.state_dict()[key], state[key]) for key in state)


@pytest.mark.parametrize("learned", [False, True])
def test_a_simulation_leaves_the_default_tensors_that_norse_cells_share_as_they_were(
    learned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from norse.torch import IAFCell
    from norse.torch.functional.iaf import IAFParameters

    cell = IAFCell()
    shared = IAFParameters()
    # Any use of norse elsewhere may have changed it before.
    monkeypatch.setattr(shared.v_reset, "requires_grad", learned)
    tensors = {name: value for name, value in shared._asdict().items() if isinstance(value, Tensor)}
    before = {name: (value.item(), value.requires_grad) for name, value in tensors.items()}
    snn = snnconv.convert(network(), samples(), coding=Rate(4), neuron=NorseNeuron(cell))
    snn(samples(3))
    NorseNeuron(cell).initial(torch.empty(2, device="meta"))
    assert {name: (value.item(), value.requires_grad) for name, value in tensors.items()} == before
    assert cell.p is not None and cell.p.v_reset is tensors["v_reset"]


def test_a_leak_lowers_the_output_rate() -> None:
    drive = torch.full((200, 8), 0.4)
    counts = []
    for beta in (1.0, 0.8):
        neuron = SnntorchNeuron(leaky(beta=beta))
        state, count = neuron.initial(drive[0]), 0.0
        for t, current in enumerate(drive):
            spike, state = neuron.step(current.clone(), state, t)
            count += float(spike.sum())
        counts.append(count)
    assert 0 < counts[1] < counts[0]


@pytest.mark.parametrize("make", [lambda: nn.ReLU(), lambda: None, lambda: "Leaky"])
def test_what_is_no_snntorch_leaky_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError, match="SnntorchNeuron takes a"):
        SnntorchNeuron(make())


def test_a_snntorch_neuron_with_more_states_is_refused() -> None:
    import snntorch

    with pytest.raises(ConfigurationError, match="Synaptic"):
        SnntorchNeuron(snntorch.Synaptic(alpha=0.5, beta=0.9))


@pytest.mark.parametrize("threshold", [0.5, 2.0, [1.0, 2.0]])
def test_a_snntorch_threshold_other_than_one_is_refused(threshold: Any) -> None:
    with pytest.raises(ConfigurationError, match="threshold must be 1"):
        SnntorchNeuron(leaky(threshold=torch.tensor(threshold)))


@pytest.mark.parametrize("potential", [1.0, 1.5, -0.5])
def test_a_snntorch_initial_potential_that_would_reset_without_a_spike_is_refused(potential: float) -> None:
    with pytest.raises(ConfigurationError, match="initial_potential"):
        SnntorchNeuron(leaky(), initial_potential=potential)


def test_snntorch_spikes_of_another_size_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="graded_spikes_factor"):
        SnntorchNeuron(leaky(graded_spikes_factor=2.0))


@pytest.mark.parametrize("make", [lambda: nn.ReLU(), lambda: None, lambda: "IAFCell"])
def test_what_is_no_norse_cell_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError, match="NorseNeuron takes a norse cell"):
        NorseNeuron(make())
