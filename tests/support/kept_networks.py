"""Networks in files that stay readable: what makes them, and what each computed when it was written.

``python -m tests.support.kept_networks`` adds those that are missing to ``tests/snnconv/storage/kept``: the file of a
network, whose name begins with the version of the format, and what it computed. Files that are there stay as they are,
because they stand for those that users have.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import snnconv
from coding import (
    TTFS,
    BernoulliInput,
    Burst,
    Concurrent,
    EventInput,
    FewSpike,
    FewSpikeNeuron,
    LatencyInput,
    OneSpike,
    Phase,
    Rate,
    TableSpike,
    Thermometer,
)
from hw_export.integers import integer_simulation, quantize
from snnconv import SpikingNetwork, learning
from snnconv.storage.manifest_versions import VERSION
from tests.snnconv.learning.training_runs import small_samples, trained
from tests.snnconv.tuning.tuned_networks import disturbed, images
from tests.support.graph_networks import PRODUCTS as GRAPH_PRODUCTS
from tests.support.graph_networks import PlainGCN, adjacency
from tests.support.graph_networks import X as NODES
from tests.support.networks import GraphConvolution, Named, Perceptron, TwoInputs, draw, make, prepared
from tests.support.products import product_network
from tests.support.ratios import ratio_model

FOLDER = Path(__file__).parents[1] / "snnconv" / "storage" / "kept"

#: A network with the inputs that it is run on.
Made = tuple[SpikingNetwork, Sequence[Tensor]]


def _zoo(name: str, **options: Any) -> Made:
    model, x = make(name)
    return snnconv.convert(model, x, **options), (x[:2],)


def _smooth(coding: Any = None) -> Made:
    model = prepared(lambda: nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 3)))
    x = draw(40, 6)
    return snnconv.convert(model, x, coding=coding), (x[:2],)


def _integers() -> Made:
    network, inputs = _zoo("perceptron", coding=OneSpike(8))
    return integer_simulation(quantize(network, input_bits=8)), inputs


def _product() -> Made:
    model, x = product_network("attention")
    return snnconv.convert(model, x), (x[:2],)


def _ratio() -> Made:
    model, x = ratio_model("attention")
    return snnconv.convert(model, x), (x[:2],)


class PaddedAttention(nn.Module):
    """Attention over three values, of which some are padded."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.attention = nn.MultiheadAttention(4, 1, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        x = self.first(x)
        mixed = self.attention(x, x, x, key_padding_mask=padded, need_weights=False)[0]
        result: Tensor = self.head(mixed)
        return result


def _masked() -> Made:
    x, padded = draw(20, 3, 4), torch.arange(3) >= torch.arange(20)[:, None] % 2 + 2
    network = snnconv.convert(prepared(PaddedAttention), ((x, padded), torch.zeros(20, dtype=torch.int64)))
    return network, (x[:2], padded[:2])


def _tokens() -> Made:
    tokens = torch.arange(200).view(40, 5) % 9
    layers = (nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 6), nn.ReLU(), nn.Linear(6, 3))
    return snnconv.convert(prepared(lambda: nn.Sequential(*layers)), tokens, coding=FewSpike(5)), (tokens[:2],)


def _graph() -> Made:
    nodes = draw(6, 5)
    return snnconv.convert(prepared(GraphConvolution), nodes, coding=Rate(16)), (nodes,)


def _sparse_graph() -> Made:
    model = PlainGCN(GRAPH_PRODUCTS["@"])
    return snnconv.convert(model, NODES, coding=FewSpike(6), constants={"adj": adjacency("coo")}), (NODES,)


def _two_inputs() -> Made:
    x, y = draw(40, 6), draw(40, 3, seed=1)
    data = ((x, y), torch.zeros(40, dtype=torch.int64))
    return snnconv.convert(prepared(TwoInputs), data, coding=OneSpike(8)), (x[:2], y[:2])


def _named() -> Made:
    x = draw(40, 6)
    return snnconv.convert(prepared(Named), x, coding=FewSpike(5)), (x[:2],)


def _single_precision() -> Made:
    x = draw(40, 6, dtype=torch.float32)
    return snnconv.convert(prepared(Perceptron, torch.float32), x, coding=Rate(16)), (x[:2],)


def _tuned() -> Made:
    x = images(40, 1)
    return snnconv.tune(disturbed(), x, epochs=1, batch=20), (x[:2],)


def _learnt(input: Any, inputs: Tensor) -> Made:
    network, _ = trained(epochs=1)
    return learning.spiking_network(network, input, 30), (inputs,)


#: What is kept, by name.
NETWORKS: dict[str, Callable[[], Made]] = {
    "rate_with_max_pooling": lambda: _zoo("max pooling", coding=Rate(16)),
    "rate_corrective": lambda: _zoo("perceptron", coding=Rate(16), neuron="corrective"),
    "rate_spike_count": lambda: _zoo("perceptron", coding=Rate(16), decoding="spike-count"),
    "rate_of_poisson_input": lambda: _zoo("perceptron", coding=Rate(16), input="poisson"),
    "phase_signed": lambda: _zoo("leaky relu", coding=Phase(8), schedule=Concurrent(16)),
    "burst_of_burst_input": lambda: _zoo("relu6", coding=Burst(16), input=Burst(16)),
    "few_spike_residual": lambda: _zoo("residual", coding=FewSpike(5)),
    "first_spike_of_phase_input": lambda: _zoo("deep", coding=TTFS(16), input=Phase(8)),
    "mixed_codes": lambda: _zoo("deep", coding={"*": FewSpike(5), "layers.1": OneSpike(8)}),
    "table_spike": lambda: _zoo("perceptron", coding=TableSpike(8)),
    "thermometer": lambda: _zoo("perceptron", coding=Thermometer(6)),
    "smooth": _smooth,
    "smooth_by_published_neurons": lambda: _smooth(FewSpikeNeuron.published("silu")),
    "one_spike_in_integers": _integers,
    "products": _product,
    "ratios": _ratio,
    "masked": _masked,
    "tokens": _tokens,
    "graph": _graph,
    "sparse_graph": _sparse_graph,
    "two_inputs": _two_inputs,
    "named_outputs": _named,
    "single_precision": _single_precision,
    "tuned": _tuned,
    "learnt_from_latencies": lambda: _learnt(LatencyInput(), small_samples().values[:2]),
    "learnt_from_draws": lambda: _learnt(BernoulliInput(), small_samples().values[:2]),
    "learnt_from_events": lambda: _learnt(EventInput(), (draw(2, 30, 9) > 1).float()),
}


def computed(network: SpikingNetwork, inputs: Sequence[Tensor]) -> dict[str, Any]:
    """What ``network`` computes of ``inputs``, ready for JSON: outputs in order, spikes, synaptic operations."""
    run = network.run(inputs, seed=0)
    outputs = [tensor.tolist() for tensor in tree_leaves(run.output)]
    return {"outputs": outputs, "spikes": run.spikes, "synops": run.synops}


def described(inputs: Sequence[Tensor]) -> list[dict[str, Any]]:
    """``inputs`` ready for JSON."""
    return [{"type": str(each.dtype).removeprefix("torch."), "values": each.tolist()} for each in inputs]


def main() -> None:
    """Write what is missing."""
    FOLDER.mkdir(exist_ok=True)
    for name, make_network in NETWORKS.items():
        path = FOLDER / f"{VERSION}_{name}.snn"
        if path.exists():
            continue
        network, inputs = make_network()
        network.save(path)
        found = {"inputs": described(inputs), **computed(snnconv.load(path), inputs)}
        path.with_suffix(".json").write_text(json.dumps(found) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
