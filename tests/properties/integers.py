"""What an integer network is held to: an independent computation in integers."""

from __future__ import annotations

import torch
from torch.utils._pytree import tree_leaves

from hw_export.integers.reference import run_reference
from hw_export.integers.simulation import integer_simulation
from snnconv.graph.graph import refs_in
from tests.properties.registry import holds
from tests.support.random_networks.specimen import Specimen


@holds("integers are simulated exactly", lambda specimen: specimen.integers is not None)
def integers_are_simulated_exactly(specimen: Specimen) -> None:
    """The simulation of an integer network and the reference in numpy fire the same payloads and decode alike."""
    integers = specimen.integers
    assert integers is not None
    simulation = integer_simulation(integers)
    values = {
        name: integers.inputs[name].taken(tensor.numpy())
        for name, tensor in zip(specimen.network.graph.inputs, specimen.inputs, strict=True)
        if name in integers.inputs
    }
    found = run_reference(integers, values, list(integers.populations))
    simulators = ["clock", "window"] if simulation.has_closed_form else ["clock"]
    for simulator in simulators:
        run = simulation.run(specimen.given, simulator=simulator, record=["rasters"])
        for node, quantized in integers.populations.items():
            payloads = run.rasters[simulation.populations[node].name] / quantized.rule.unit
            start, expected = integers.starts().get(node, 0), torch.from_numpy(found.rasters[node].swapaxes(0, 1))
            inside = expected[start : start + len(payloads)]
            assert torch.equal(payloads.round().to(inside.dtype), inside), f"{simulator}: payloads of {node}"
            assert int(inside.count_nonzero()) == int(expected.count_nonzero()) == found.spikes[node]
        presentations = 1 if simulation.timing is not None else integers.steps
        for name, decoded in zip(refs_in(specimen.network.graph.output), tree_leaves(run.output), strict=True):
            output = integers.outputs.get(name)
            if output is None:  # a function of one, which the host computes
                continue
            step = output.step.reshape(-1, *[1] * (output.offset.ndim - 1))
            read = torch.from_numpy(found.sums[name] * step / presentations + output.offset)
            torch.testing.assert_close(decoded, read, rtol=1e-9, atol=1e-9)
