"""Networks that divide one signal by another, however their divisors come to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coding import Code, Pipeline, Schedule
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


def ratio_graph(model: nn.Module, example: tuple[Tensor, ...]) -> Graph:
    """``model``, whose divisions by a signal are ratios, as a checked graph in normal form."""
    graph = functions_as_tables(capture(model, example), set())
    divided = {name: as_ratio(node) for name, node in graph.nodes.items()}
    graph = normal_form(replace(graph, nodes=divided), example)
    check_samples_apart(graph, example)
    check_affine(graph, example)
    return graph


class RatioCalibrator(Calibrator):
    """A calibrator of a model whose divisions by a signal are ratios."""

    def __init__(self, model: nn.Module, *samples: Tensor) -> None:
        super().__init__(model, (samples, None), None)
        pair = tuple(tensor[:2] for tensor in samples)
        self.__dict__["captured"] = Captured(ratio_graph(model, pair), Preflight((), ()), pair)

    def network(
        self, code: Code, schedule: Schedule | None = None, input: str | None = None, **options: Any
    ) -> SpikingNetwork:
        """The network of ``code``, in a pipeline unless another schedule is given."""
        plan, chosen = as_plan(code, input, schedule or Pipeline()), Options(**options)
        return assemble(self.calibrated(plan, chosen), plan, chosen)


def of_an_exponential(m: Layers, x: Tensor) -> Tensor:
    return m.head(m.a(x) / m.b(x).exp().sum(-1, keepdim=True))


def often_zero(m: Layers, x: Tensor) -> Tensor:
    return m.head(torch.relu(m.a(x)) / torch.relu(m.b(x) - 0.5).sum(-1, keepdim=True))


def by_element(m: Layers, x: Tensor) -> Tensor:
    return m.head(m.a(x) / (0.01 + torch.sigmoid(3.0 * m.b(x))))


def attention(m: Layers, x: Tensor) -> Tensor:
    weights = (m.a(x) @ m.b(x).transpose(-1, -2)).exp()
    return m.head((weights @ m.c(x)) / weights.sum(-1, keepdim=True))


def norm(m: Layers, x: Tensor) -> Tensor:
    hidden = m.a(x)
    centred = hidden - hidden.mean(-1, keepdim=True)
    return m.head(torch.relu(m.b(centred / ((centred * centred).mean(-1, keepdim=True) + 1e-5).sqrt())))


def of_a_product(m: Layers, x: Tensor) -> Tensor:
    hidden = torch.relu(m.b(x))
    return m.head((torch.relu(m.a(x)) * m.c(x)) / (hidden * hidden.flip(-1)).sum(-1, keepdim=True))


def of_shares(m: Layers, x: Tensor) -> Tensor:
    hidden = torch.relu(m.a(x))
    return m.head(hidden / hidden.sum(-1, keepdim=True) + hidden / hidden.flip(-1))


def of_the_input(m: Layers, x: Tensor) -> Tensor:
    return m.head(x / torch.relu(m.a(x)) + torch.relu(m.b(x)) / x[..., :1] + m.c(x) / x)


def of_a_constant(m: Layers, x: Tensor) -> Tensor:
    return m.head(m.a.bias / m.b(x).exp() + torch.relu(m.a(x)) / m.b.bias)


def of_a_ratio(m: Layers, x: Tensor) -> Tensor:
    share = m.a(x) / m.b(x).exp()
    return m.head((share * torch.relu(m.c(x)) + share) / (1.5 + share).flip(-1))


def pooled(m: Layers, x: Tensor) -> Tensor:
    features = m.stem(x)
    return m.head(F.max_pool2d(features / features.exp().mean((2, 3), keepdim=True), 2).mean((2, 3)))


#: Networks with the shape of their input in one sample.
NETWORKS: dict[str, tuple[Forward, tuple[int, ...]]] = {
    "of an exponential": (of_an_exponential, (3, 4)),
    "often zero": (often_zero, (3, 4)),
    "by element": (by_element, (4,)),
    "attention": (attention, (3, 4)),
    "norm": (norm, (3, 4)),
    "of a product": (of_a_product, (3, 4)),
    "of shares": (of_shares, (4,)),
    "of the input": (of_the_input, (4,)),
    "of a constant": (of_a_constant, (4,)),
    "of a ratio": (of_a_ratio, (4,)),
    "pooled": (pooled, (2, 4, 4)),
}


def ratio_model(name: str, samples: int = 24) -> tuple[Layers, Tensor]:
    """The network of this name in double precision, with inputs."""
    forward, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Layers(forward).double().eval().requires_grad_(False)
        return model, torch.randn(samples, *shape, dtype=torch.float64)
