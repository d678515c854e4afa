"""Networks that divide one signal by another, however their divisors come to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from coding import Code, Pipeline
from coding.plan import as_plan
from snnconv import SpikingNetwork
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Options
from snnconv.capture.capturing import Captured
from snnconv.capture.checks import check_affine, check_samples_apart
from snnconv.capture.normal_form import normal_form
from snnconv.capture.one_variable import functions_as_tables
from snnconv.capture.problems import Preflight
from snnconv.capture.translation import capture
from snnconv.graph.graph import Graph, Node, Ref
from tests.support.products import Forward, Layers


def as_ratio(node: Node) -> Node:
    """A division of two signals as a ratio; any other node as it is."""
    if node.op != "div" or len([*node.refs()]) < 2:
        return node
    values, divisor = node.refs()
    return Node(node.name, "ratio_population", {"self": Ref(values), "divisor": Ref(divisor)}, None, node.source)


def ratio_graph(model: nn.Module, example: Tensor) -> Graph:
    """``model``, whose divisions by a signal are ratios, as a checked graph in normal form."""
    graph = functions_as_tables(capture(model, (example,)), set())
    divided = {name: as_ratio(node) for name, node in graph.nodes.items()}
    graph = normal_form(replace(graph, nodes=divided), (example,))
    check_samples_apart(graph, (example,))
    check_affine(graph, (example,))
    return graph


class RatioCalibrator(Calibrator):
    """A calibrator of a model whose divisions by a signal are ratios."""

    def __init__(self, model: nn.Module, samples: Tensor) -> None:
        super().__init__(model, samples, None)
        pair = samples[:2]
        self.__dict__["captured"] = Captured(ratio_graph(model, pair), Preflight((), ()), (pair,))

    def network(self, code: Code, **options: Any) -> SpikingNetwork:
        """The network in a pipeline of ``code``."""
        plan, chosen = as_plan(code, None, Pipeline()), Options(**options)
        return assemble(self.calibrated(plan, chosen), plan, chosen)


def of_an_exponential(m: Layers, x: Tensor) -> Tensor:
    return m.head(m.a(x) / m.b(x).exp().sum(-1, keepdim=True))


#: Networks with the shape of their input in one sample.
NETWORKS: dict[str, tuple[Forward, tuple[int, ...]]] = {
    "of an exponential": (of_an_exponential, (3, 4)),
}


def ratio_model(name: str, samples: int = 24) -> tuple[Layers, Tensor]:
    """The network of this name in double precision, with inputs."""
    forward, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Layers(forward).double().eval().requires_grad_(False)
        return model, torch.randn(samples, *shape, dtype=torch.float64)
