"""Functions of one variable as text: operators of the vocabulary, applied one after the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from snnconv.errors import ConfigurationError
from snnconv.graph.operators.base import OPERATORS

#: Most operators of one function: text in a file is bounded.
_LONGEST = 256

#: Operators that do not name a function of several.
_ARITHMETIC = frozenset({"add", "sub", "rsub", "mul", "div", "neg"})
#: What stands for an earlier result in an argument: 0 for the variable, then the results in their order.
_RESULT = "result"

#: Arguments that are words.
_WORDS = ("approximate", "rounding_mode")


class Expression:
    """A function of one variable, element by element: a list of operators with their arguments.

    ``text`` is JSON, a list of pairs of an operator's name and its arguments by name; ``{"result": n}`` stands for the
    variable (0) or for what the n-th operator made. The last result is the function's value. Raises
    ``ConfigurationError`` for text that is none.
    """

    def __init__(self, text: str) -> None:
        try:
            steps = json.loads(text)
            self.steps: tuple[tuple[str, Mapping[str, Any]], ...] = tuple((str(op), dict(given)) for op, given in steps)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"a function of one variable cannot be read from {text[:80]!r}") from error
        if not 0 < len(self.steps) <= _LONGEST:
            raise ConfigurationError(f"a function of one variable has 1 to {_LONGEST} operators, not {len(self.steps)}")
        for number, (op, given) in enumerate(self.steps):
            if op not in OPERATORS or not OPERATORS[op].pointwise:
                raise ConfigurationError(f"{op!r} is no function of one variable")
            for key, value in given.items():
                if not _may_be(key, value, number):
                    raise ConfigurationError(f"{key} of {op} is neither a number nor what an operator before it made")
        try:
            result = self(torch.ones(2, dtype=torch.float64))
        except Exception as error:
            raise ConfigurationError(f"a function of one variable cannot be computed: {error}") from error
        if result.dtype is not torch.float64:
            raise ConfigurationError(f"a function of one variable gives numbers, not {result.dtype}")

    @staticmethod
    def text_of(steps: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """The text of operators with their arguments, in which ``result(n)`` stands for earlier results."""
        return json.dumps([[op, dict(given)] for op, given in steps])

    @staticmethod
    def result(number: int) -> dict[str, int]:
        """What stands for the variable (0), or for what the ``number``-th operator made."""
        return {_RESULT: number}

    def __call__(self, values: Tensor) -> Tensor:
        """The function of ``values`` of any shape."""
        results = [values]
        for op, given in self.steps:
            result = OPERATORS[op].evaluate({key: _filled(value, results) for key, value in given.items()})
            if not isinstance(result, Tensor) or result.shape != values.shape:
                raise ConfigurationError(f"{op} does not keep the shape of what it is given")
            whole = not (result.is_floating_point() or result.dtype is torch.bool)  # as of where(condition, 0, 1)
            results.append(result.to(values.dtype) if whole else result)
        return results[-1]

    @property
    def name(self) -> str:
        """The operator, or all of them, in the order in which they first occur."""
        return "+".join(dict.fromkeys(op for op, _ in self.steps))

    @property
    def main(self) -> str:
        """The last operator that is no arithmetic, or else the last: "sigmoid" of ``x * sigmoid(x)``."""
        operators = [op for op, _ in self.steps]
        return next((op for op in reversed(operators) if op not in _ARITHMETIC), operators[-1])


@lru_cache(maxsize=256)
def expression(text: str) -> Expression:
    """The function that ``text`` says, read once."""
    return Expression(text)


def _may_be(key: str, value: Any, number: int) -> bool:
    """Whether ``value`` can be an argument of the operator of this ``number``, from 0."""
    if isinstance(value, dict):
        return value.keys() == {_RESULT} and type(value[_RESULT]) is int and 0 <= value[_RESULT] <= number
    return value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and key in _WORDS)


def _filled(value: Any, results: Sequence[Tensor]) -> Any:
    return results[value[_RESULT]] if isinstance(value, dict) else value
