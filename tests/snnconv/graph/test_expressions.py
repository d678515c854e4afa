"""Functions of one variable as text: what a file says is one, or is refused before it costs time or memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from snnconv import ConfigurationError
from snnconv.graph.operators.expression import Expression

_X = {"result": 0}
#: Operators that make Python's numbers, or text, of any size, and tensors of another shape or type.
HOSTILE: dict[str, Any] = {
    "a tower of whole numbers": [
        ["add", {"self": 0, "other": 3, "alpha": 3}],
        *(["add", {"self": 0, "other": {"result": n}, "alpha": {"result": n}}] for n in range(1, 40)),
        ["relu", {"self": _X}],
    ],
    "repeated text": [["add", {"self": "", "other": "a", "alpha": 10**10}], ["relu", {"self": _X}]],
    "a repeated list": [["add", {"self": [], "other": [0], "alpha": 10**10}], ["relu", {"self": _X}]],
    "what comes later": [["add", {"self": _X, "other": {"result": 1}, "alpha": 1}]],
    "counted from the end": [["relu", {"self": {"result": -1}}]],
    "another shape": [["threshold", {"self": 0, "threshold": 0, "value": 0}]],
    "a condition": [["gt", {"self": _X, "other": 0}]],
    "no operator": [["eval", {"self": _X}]],
    "weights": [["linear", {"input": _X, "weight": _X}]],
    "nothing": [],
    "too much": [["relu", {"self": _X}]] * 257,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_text_that_is_no_function_of_one_variable_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"function of one variable|what an operator before it made"):
        Expression(json.dumps(HOSTILE[name]))


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "{}x", "[1]", f"[{'9' * 5000}]"])
def test_text_that_is_no_list_of_operators_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Expression(text)


def test_numbers_that_are_infinite_are_read() -> None:
    text = Expression.text_of([("clamp", {"self": _X, "min": float("-inf"), "max": 1.0})])
    assert Expression(text)(torch.tensor([-1e300, 2.0], dtype=torch.float64)).tolist() == [-1e300, 1.0]
