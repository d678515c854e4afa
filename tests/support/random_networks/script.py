"""Networks as small scripts: straight-line programs that can be run, printed and compared."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Name of the file that lines of a script's module are said to stand in.
FILE = "random_network.py"

_HEAD = """\
import torch
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    def __init__(self):
        super().__init__()
"""

_TAIL = """

def make():
    torch.manual_seed({seed})
    model = Network().double().eval()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("running_mean", "running_var")):
                tensor.uniform_(0.5, 1.5)
            elif tensor.requires_grad:
                tensor.add_(torch.randn_like(tensor), alpha=0.1)
    return model
"""


@dataclass(frozen=True)
class Signal:
    """A tensor of a network by name, and its shape in one sample; in front of that stands the batch axis."""

    name: str
    shape: tuple[int, ...]

    def samples(self, count: int, seed: int) -> Tensor:
        """Standard normal values ``[count, *shape]`` in double precision."""
        return torch.randn(count, *self.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass(frozen=True)
class Statement:
    """One line of forward: ``result`` is what ``expression`` says of its operands.

    ``expression`` is Python in which ``{0}``, ``{1}`` stand for the ``operands`` and ``{own}`` for a layer or constant
    of the module: its attribute ``part``, which ``makes`` creates. Statements of one ``part`` share it. ``operator`` is
    the registered name of the operator that the line was written to use.
    """

    operator: str
    result: Signal
    expression: str
    operands: tuple[str, ...]
    part: str = ""
    makes: str = ""

    @property
    def text(self) -> str:
        """The right side of the line."""
        return self.expression.format(*self.operands, own=f"self.{self.part}")


@dataclass(frozen=True)
class Script:
    """A network as a list of statements over its inputs; weights follow from ``seed``.

    ``outputs`` are names of results; one is returned as it is, several as a tuple.
    """

    inputs: tuple[Signal, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[str, ...]
    seed: int = 0

    def without_dead_statements(self) -> Script:
        """The same network without the statements and inputs that no output depends on."""
        needed, kept = set(self.outputs), []
        for statement in reversed(self.statements):
            if statement.result.name in needed:
                kept.append(statement)
                needed.update(statement.operands)
        inputs = tuple(signal for signal in self.inputs if signal.name in needed)
        return replace(self, inputs=inputs, statements=tuple(reversed(kept)))

    def source(self) -> str:
        """A Python module with the network's class and the function ``make`` that gives it its weights."""
        parts = {each.part: each.makes for each in self.statements if each.part}
        made = [f"        self.{name} = {text}" for name, text in parts.items()]
        names = ", ".join(signal.name for signal in self.inputs)
        lines = [f"        {each.result.name} = {each.text}" for each in self.statements]
        returned = f"        return {', '.join(self.outputs)}"
        forward = [f"    def forward(self, {names}):", *lines, returned]
        return _HEAD + "\n".join([*made, "", *forward, ""]) + _TAIL.format(seed=self.seed)

    def module(self) -> nn.Module:
        """The network in eval mode and double precision, made by ``source``, so that its errors name lines of it."""
        text = self.source()
        linecache.cache[FILE] = (len(text), None, text.splitlines(keepends=True), FILE)
        names: dict[str, Any] = {"__name__": "random_network"}
        with torch.random.fork_rng(devices=[]):
            exec(compile(text, FILE, "exec"), names)
            model: nn.Module = names["make"]()
        return model

    def samples(self, count: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Standard normal values for every input, ``[count, ...]``."""
        return tuple(signal.samples(count, 100 * seed + place) for place, signal in enumerate(self.inputs))

    def __str__(self) -> str:
        """A script that defines the network and converts it, to be run by itself."""
        shapes = [", ".join(map(str, ("40", *signal.shape))) for signal in self.inputs]
        drawn = ", ".join(f"torch.randn({shape}, dtype=torch.float64)" for shape in shapes)
        samples = drawn if len(shapes) == 1 else f"({drawn}), torch.zeros(40)"
        converts = f"    network = snnconv.convert(make(), ({samples}))" if len(shapes) > 1 else ""
        converts = converts or f"    network = snnconv.convert(make(), {samples})"
        body = ['if __name__ == "__main__":', "    import snnconv", "", converts, "    print(network.report())"]
        return self.source() + "\n\n" + "\n".join(body) + "\n"

    __repr__ = __str__  # what hypothesis prints of a failing example

    def __iter__(self) -> Iterator[Statement]:
        return iter(self.statements)


def shape_of(expression: str, operands: tuple[Signal, ...], makes: str) -> tuple[int, ...]:
    """Shape, in one sample, of what ``expression`` gives for ``operands``; found by running it."""

    class Owner:
        own: Any = None

    names: dict[str, Any] = {signal.name: signal.samples(2, 0) for signal in operands}
    names |= {"torch": torch, "nn": nn, "F": F, "self": Owner}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        Owner.own = eval(makes, names) if makes else None
        if isinstance(Owner.own, nn.Module):
            Owner.own = Owner.own.double().eval()
        elif isinstance(Owner.own, Tensor):
            Owner.own = Owner.own.double() if Owner.own.is_floating_point() else Owner.own
        result = eval(expression.format(*(signal.name for signal in operands), own="self.own"), names)
    assert isinstance(result, Tensor) and result.shape[:1] == (2,), f"{expression} loses the batch axis"
    return tuple(result.shape[1:])
