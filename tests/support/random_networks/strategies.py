"""Hypothesis strategies that draw networks as small scripts; shrunk ones have few and plain lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from snnconv.graph.operators import OPERATORS
from snnconv.graph.operators.bilinear import BilinearOperator
from tests.support.random_networks import (
    activations,
    arithmetic,
    forms,
    indices,
    norms,
    pieces,
    pooling,
    readouts,
    sizes,
    smooth,
    weights,
    whole_graphs,
    windows,
)
from tests.support.random_networks.rule import RULES, Written
from tests.support.random_networks.script import Script, Signal, Statement, shape_of

#: Modules of rules; importing one registers its rules.
FAMILIES = (
    activations,
    smooth,
    weights,
    arithmetic,
    pooling,
    pieces,
    forms,
    indices,
    windows,
    sizes,
    norms,
    readouts,
    whole_graphs,
)
#: Registered operators that no line of a model makes, and what does.
MADE_BY_THE_PROJECT = {
    "bounded_relu": "clamps in normal form",
    "tabulated": "functions of one signal",
    "_prelu_kernel": "prelu, where operators are torch's plainest",
    "identity_population": "a maximum over currents in normal form",
    "relay_population": "products of two signals in normal form",
    "ratio_population": "ratios of two signals in normal form",
    "masked_amax": "softmax behind a mask, in normal form",
    "masked_scores": "softmax behind a mask, in normal form",
    "forbidden_pairs": "masks that are added, in front of a network",
    "allowed_pairs": "masks that come with every sample, in normal form",
    "output_population": "an output that is decoded from spike counts",
    "channel_affine": "batch normalisation in normal form",
    "whole_input": "integer networks",
    "_native_batch_norm_legit": "batch normalisation in training, which is refused",
}
#: Families whose lines stand only where a strategy asks for them.
APART = ("readouts", "whole_graphs")
#: Operators that may multiply two signals.
_PRODUCTS = {op for op, operator in OPERATORS.items() if isinstance(operator, BilinearOperator)}
#: Elements of one sample that a signal may have.
LARGEST = 96

KINDS: dict[str, st.SearchStrategy[tuple[int, ...]]] = {
    "vector": st.tuples(st.integers(1, 6)),
    "sequence": st.tuples(st.integers(1, 4), st.integers(2, 6)),
    "image": st.tuples(st.integers(1, 4), st.integers(2, 5), st.integers(2, 5)),
    "volume": st.tuples(st.integers(1, 2), st.integers(2, 3), st.integers(2, 3), st.integers(2, 3)),
}


def an_input(name: str) -> st.SearchStrategy[Signal]:
    """A vector [N, F], sequence [N, C, L], image [N, C, H, W] or volume [N, C, D, H, W]."""
    shapes = st.sampled_from(list(KINDS)).flatmap(KINDS.__getitem__)
    return shapes.map(lambda shape: Signal(name, shape))


@st.composite
def statements(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal], number: int) -> Statement:
    """A line with ``operator`` on ``x``; its rule must take the shape of ``x``."""
    written = RULES[operator].write(draw, operator, x, signals)
    return _statement(operator, written, number)


def _statement(operator: str, written: Written, number: int) -> Statement:
    result = Signal(f"v{number}", shape_of(*written))
    names = tuple(signal.name for signal in written.operands)
    part = f"part{number}" if written.makes else ""
    return Statement(operator, result, written.expression, names, part, written.makes)


@st.composite
def scripts(draw: DrawFn, lines: int = 12) -> Script:
    """A network of at most ``lines`` drawn lines, with a population, without a readout."""
    inputs = [draw(an_input("x"))]
    if draw(st.integers(0, 3)) == 3:
        inputs.append(draw(st.one_of(st.just(Signal("y", inputs[0].shape)), an_input("y"))))
    signals, found = list(inputs), list[Statement]()
    for number in range(1, 1 + draw(st.integers(1, lines))):
        statement = draw(_next_statements(signals, found, number))
        if statement is not None and 0 < math.prod(statement.result.shape) <= LARGEST:
            found.append(statement)
            signals.append(statement.result)
    used = {name for statement in found for name in statement.operands}
    loose = [signal for signal in signals[len(inputs) :] if signal.name not in used] or signals[-1:]
    outputs = loose[-1:] if draw(st.booleans()) else loose
    script = Script(tuple(inputs), tuple(found), tuple(signal.name for signal in outputs)).without_dead_statements()
    if not any(RULES[each.operator].family == "activations" for each in script):
        last = Statement("relu", Signal("last", outputs[-1].shape), "torch.relu({0})", (outputs[-1].name,))
        names = (*script.outputs[:-1], "last")
        script = replace(script, statements=(*script.statements, last), outputs=names)
    # Weights behind products, norms and softmax make them part of the spiking network.
    if draw(st.booleans()) or any(_wants_weights(each) for each in script):
        script = _read_out(script)
    return replace(script, seed=draw(st.integers(0, 3)))


def _wants_weights(line: Statement) -> bool:
    return RULES[line.operator].family == "norms" or (line.operator in _PRODUCTS and len(line.operands) > 1)


def _read_out(script: Script) -> Script:
    """``script`` with a linear layer behind every output, which exported networks end in."""
    shapes, layers = {each.result.name: each.result.shape for each in script}, []
    for number, name in enumerate(script.outputs):
        shape = shapes[name] or (1,)
        result = Signal(f"read_{name}", (*shape[:-1], 2))
        text = "{own}({0})" if shapes[name] else "{own}({0}.unsqueeze(-1))"
        layers.append(Statement("linear", result, text, (name,), f"read{number}", f"nn.Linear({shape[-1]}, 2)"))
    behind = {layer.operands[0]: layer.result.name for layer in layers}
    outputs = tuple(behind.get(name, name) for name in script.outputs)
    return replace(script, statements=(*script.statements, *layers), outputs=outputs)


@st.composite
def _next_statements(
    draw: DrawFn, signals: Sequence[Signal], found: Sequence[Statement], number: int
) -> Statement | None:
    """A line on one of ``signals``, later ones first; or one more use of a layer that has been used."""
    x = draw(st.sampled_from(signals[::-1])) if draw(st.booleans()) else signals[-1]
    if draw(st.integers(0, 9)) == 9:
        return draw(st.sampled_from(_shared(x, signals, found, number) or [None]))
    families: dict[str, list[str]] = {}
    for operator, each in RULES.items():
        if operator in OPERATORS and each.family not in APART and each.takes(operator, x.shape):
            families.setdefault(each.family, []).append(operator)
    favoured = [families[name] for name in ("activations", "weights") if name in families]
    operator = draw(st.sampled_from(draw(st.sampled_from([*favoured, *families.values()]))))
    return draw(statements(operator, x, signals, number))


def _shared(x: Signal, signals: Sequence[Signal], found: Sequence[Statement], number: int) -> list[Statement | None]:
    """Layers that have been used on a signal of the same shape, used on ``x``."""
    shapes = {signal.name: signal.shape for signal in signals}
    return [
        replace(each, result=Signal(f"v{number}", each.result.shape), operands=(x.name,))
        for each in found
        if each.part and len(each.operands) == 1 and shapes[each.operands[0]] == x.shape
    ]


@st.composite
def side_by_side(draw: DrawFn, operators: Sequence[str], shape: tuple[int, ...]) -> Script:
    """A line of each of ``operators``, all on one input of this ``shape``, each an output."""
    x = Signal("x", shape)
    found = [draw(statements(operator, x, [x], number)) for number, operator in enumerate(operators, start=1)]
    return Script((x,), tuple(found), tuple(each.result.name for each in found))
