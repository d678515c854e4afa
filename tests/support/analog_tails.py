"""Random small graphs whose weights go on behind functions that are not affine, with who is behind which."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch

from snnconv.capture.normal_form import with_shapes
from snnconv.graph.graph import Graph, Node, Ref

TOKENS = 3
SMOOTH: dict[str, dict[str, Any]] = {
    "tanh": {},
    "sigmoid": {},
    "softmax": {"dim": -1, "dtype": None},
    "gelu": {"approximate": "none"},
    "square": {},
    "silu": {},
}


@dataclass(frozen=True)
class Tail:
    """A graph of one input of shape ``[N, TOKENS, width]``; ``populations`` name its activations.

    ``analog`` names the weighted nodes behind a function that is not affine, or that are none themselves. ``functions``
    maps every such function to the weighted nodes behind it, itself among them; ``products`` of two signals are none
    where constant weights follow that no function comes before. ``spikes_last`` says that a population follows a
    function, so that nothing may stay real-valued.
    """

    graph: Graph
    shape: tuple[int, ...]
    populations: tuple[str, ...]
    analog: tuple[str, ...]
    functions: dict[str, set[str]]
    products: set[str]
    spikes_last: bool


class _Builder:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.nodes: dict[str, Node] = {}
        self.constants: dict[str, torch.Tensor] = {}
        self.functions: dict[str, set[str]] = {}  # by function, the weighted nodes behind it
        self.behind: dict[str, set[str]] = {"x": set()}  # by node, the functions in front of it
        self.width = {"x": self.random.randint(1, 5)}
        self.at = "x"

    def add(self, op: str, *refs: str, width: int, weighted: bool = False, function: bool = False, **rest: Any) -> None:
        keys = ("input", "weight", "bias") if op in ("linear", "conv1d") else ("self", "other")
        name = f"{op}_{len(self.nodes)}"
        arguments = {**dict(zip(keys, map(Ref, refs), strict=False)), **rest}
        self.nodes[name] = Node(name, op, arguments)
        self.width[name], self.at = width, name
        self.behind[name] = set().union(*(self.behind.get(ref, set()) for ref in refs)) | (
            {name} if function else set()
        )
        if function:
            self.functions[name] = set()
        for each in self.behind[name] if weighted else ():
            self.functions[each].add(name)

    def converted(self) -> set[str]:
        """Products of two signals with constant weights behind them, where nothing in front of these is smooth."""
        smooth = {name for name in self.functions if self.nodes[name].op not in ("mul", "matmul")}
        constant = set().union(*self.functions.values()) - self.functions.keys()
        spiking = {name for name in constant if self.behind[name].isdisjoint(smooth)}
        return {name for name in self.functions.keys() - smooth if not spiking.isdisjoint(self.functions[name])}

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.constants)}"
        self.constants[name] = torch.rand(shape, generator=self.generator) + 0.5
        return name

    def linear(self) -> None:
        before, width = self.width[self.at], self.random.randint(1, 5)
        if self.random.random() < 0.5:
            self.add("linear", self.at, self.weight(width, before), self.weight(width), width=width, weighted=True)
        else:
            self.add("matmul", self.at, self.weight(before, width), width=width, weighted=True)

    def mixing(self) -> None:
        """A product along the tokens, with a constant matrix on the left."""
        matrix = self.weight(TOKENS, TOKENS)
        self.add("matmul", matrix, self.at, width=self.width[self.at], weighted=True)

    def convolution(self) -> None:
        """A convolution along the features, with the tokens as its channels."""
        before = self.width[self.at]
        kernel, padding, groups = (
            self.random.randint(1, before),
            self.random.randint(0, 1),
            self.random.choice([1, TOKENS]),
        )
        weight, bias = self.weight(TOKENS, TOKENS // groups, kernel), self.weight(TOKENS)
        sizes = {"stride": [1], "padding": [padding], "dilation": [1], "groups": groups}
        width = before + 2 * padding - kernel + 1
        self.add("conv1d", self.at, weight, bias, width=width, weighted=True, **sizes)

    def residual(self) -> None:
        start, width = self.at, self.width[self.at]
        self.add("linear", start, self.weight(width, width), width=width, weighted=True, bias=None)
        self.add("add", start, self.at, width=width, alpha=1)

    def relu(self) -> None:
        self.add("relu", self.at, width=self.width[self.at])

    def smooth(self) -> None:
        op = self.random.choice([*SMOOTH])
        self.add(op, self.at, width=self.width[self.at], function=True, **SMOOTH[op])

    def gate(self) -> None:
        start, width = self.at, self.width[self.at]
        self.add("linear", start, self.weight(width, width), width=width, weighted=True, bias=None)
        self.add("mul", start, self.at, width=width, function=True)

    def attention(self) -> None:
        """Scores between tokens, and their products with the tokens: two products of two signals."""
        start, width = self.at, self.width[self.at]
        self.add("transpose", start, width=TOKENS, dim0=1, dim1=2)
        self.add("matmul", start, self.at, width=TOKENS, weighted=True, function=True)
        if self.random.random() < 0.7:
            self.add("softmax", self.at, width=TOKENS, function=True, **SMOOTH["softmax"])
        self.add("matmul", self.at, start, width=width, weighted=True, function=True)

    def computed_weights(self) -> None:
        """A linear layer whose weights are the tokens of the only sample."""
        start = self.at
        self.add("select", start, width=self.width[start], dim=0, index=0)
        self.add("linear", start, self.at, width=TOKENS, weighted=True, function=True, bias=None)


def random_tail(seed: int) -> Tail:
    """The graph of ``seed``: affine layers and populations, then functions that are not affine with layers between."""
    build = _Builder(seed)
    draw = build.random
    for _ in range(draw.randint(1, 3)):
        draw.choice([build.linear, build.linear, build.mixing, build.convolution, build.residual])()
        if draw.random() < 0.8:
            build.relu()
    if not any(node.op == "relu" for node in build.nodes.values()):
        build.relu()
    single = draw.random() < 0.2  # one call is one sample
    functions = [build.smooth, build.smooth, build.gate, build.attention] + [build.computed_weights] * single
    for _ in range(draw.randint(0, 3)):
        if draw.random() < 0.6:
            build.linear()
        draw.choice(functions)()
        if draw.random() < 0.5:
            draw.choice([build.linear, build.mixing, build.convolution, build.residual])()
    populations = tuple(name for name, node in build.nodes.items() if node.op == "relu")
    spikes_last = draw.random() < 0.1 and bool(build.functions)
    if spikes_last:
        build.relu()
        build.linear()
    elif build.functions and draw.random() < 0.3:
        build.relu()  # cuts what was decoded: nothing that it gives has to spike
    width = build.width["x"]
    shape = (1 if single else "batch", TOKENS, width)
    graph = Graph({"x": shape}, build.constants, build.nodes, Ref(build.at), None if single else 0)
    graph = with_shapes(graph, [torch.zeros(1 if single else 2, TOKENS, width)])
    products = build.converted()
    functions = {name: behind for name, behind in build.functions.items() if name not in products}
    analog = {name for behind in functions.values() for name in behind}
    return Tail(
        graph,
        (1, TOKENS, width),
        populations,
        tuple(name for name in build.nodes if name in analog),
        functions,
        products,
        spikes_last and bool(functions),
    )
