"""Rules: how a line that uses a registered operator is written on a signal; every rule is registered by names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.script import Signal

Shape = tuple[int, ...]


class Written(NamedTuple):
    """The right side of a line (see ``Statement``): its text, its operands, and what makes its layer or constant."""

    expression: str
    operands: tuple[Signal, ...]
    makes: str = ""


#: Writes a line with the operator of this name on a signal; the last argument are all signals there are.
Writer = Callable[[DrawFn, str, Signal, Sequence[Signal]], Written]


@dataclass(frozen=True)
class Rule:
    """How lines with some operators are written.

    ``takes`` says for an operator and the shape of a signal in one sample whether ``write`` can write such a line.
    ``family`` is the module that the rule stands in; networks are drawn family by family, so that none crowds out
    another by its number of names.
    """

    write: Writer
    takes: Callable[[str, Shape], bool]
    family: str


#: Rules by the registered name of the operator that they promise.
RULES: dict[str, Rule] = {}


def rule(*operators: str, takes: Callable[[str, Shape], bool] = lambda _, shape: True) -> Callable[[Writer], Writer]:
    """Decorator that registers a writer as the rule of ``operators``."""

    def register(write: Writer) -> Writer:
        for name in operators:
            assert name not in RULES, f"{name} has two rules"
            RULES[name] = Rule(write, takes, write.__module__.rpartition(".")[2])
        return write

    return register


def axes_of(operator: str) -> int:
    """How many axes a sliding operator runs over, as its name says: 2 for ``conv2d``."""
    return next(int(letter) for letter in operator if letter.isdigit())


def maps(operator: str, shape: Shape) -> bool:
    """Whether a signal is [channels, positions...] with as many axes of positions as a sliding operator has."""
    return len(shape) == 1 + axes_of(operator)


def with_axes(least: int) -> Callable[[str, Shape], bool]:
    """Signals of at least so many axes, the batch axis aside."""
    return lambda _, shape: len(shape) >= least


def an_axis(draw: DrawFn, shape: Shape, least: int = 1) -> int:
    """An axis (the batch is axis 0) that is at least so long, counted from the front or from the end."""
    axis = draw(st.sampled_from([place for place, size in enumerate(shape, start=1) if size >= least]))
    return axis - (1 + len(shape)) * draw(st.booleans())


def length(shape: Shape, axis: int) -> int:
    """Length of an axis that counts the batch."""
    return shape[axis - 1] if axis > 0 else shape[axis]


def a_number(draw: DrawFn) -> float:
    """A factor or summand; no two of them cancel."""
    return draw(st.sampled_from([1.3, -0.7, 0.6, -1.1]))


def a_constant(shape: Sequence[int]) -> str:
    """Text that makes a trained tensor of positive values."""
    return f"nn.Parameter(torch.rand({', '.join(map(str, shape))}) + 0.5)" if shape else "nn.Parameter(torch.rand(()))"


def per_axis(draw: DrawFn, choices: Sequence[Sequence[int]]) -> int | tuple[int, ...]:
    """One choice an axis; a number where they are all the same."""
    found = tuple(draw(st.sampled_from(list(each))) for each in choices)
    return found[0] if len(set(found)) == 1 else found


def each_axis(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """An option for every axis."""
    return (value,) * axes if isinstance(value, int) else value
