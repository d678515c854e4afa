"""Options as text: what files call classes of the project, and of others."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest

from coding import FewSpike, Pipeline, SpikeInput
from snnconv.graph.operators import PiecewiseLinear
from snnconv.learning import LatencyEncoder
from snnconv.storage.digests import option_text


@dataclass(frozen=True)
class Foreign:
    """An option of somebody's own."""

    number: int = 1


@pytest.mark.parametrize(
    "value", [FewSpike(), Pipeline(), SpikeInput(FewSpike(base=1.5)), PiecewiseLinear(0.1), LatencyEncoder(8, 7)]
)
def test_a_class_of_the_project_is_told_by_its_name_wherever_it_lies(value: Any) -> None:
    text = option_text("option", value)
    assert text.startswith(f"{type(value).__name__}(")
    assert type(value).__module__ not in text and FewSpike.__module__ not in text


def test_classes_of_others_that_share_a_name_are_told_apart() -> None:
    twin = make_dataclass("Foreign", [("number", int)], namespace={"__module__": "elsewhere"})
    one, two = option_text("option", Foreign(1)), option_text("option", twin(1))
    assert one == f"{__name__}.Foreign(number=1)"
    assert two == "elsewhere.Foreign(number=1)"


def test_a_class_of_another_that_is_called_like_one_of_the_project_is_told_apart() -> None:
    twin = make_dataclass("FewSpike", [("steps", int)], namespace={"__module__": "coding_of_my_own"})
    assert option_text("option", twin(8)) == "coding_of_my_own.FewSpike(steps=8)"


def test_functions_are_told_with_their_module() -> None:
    assert option_text("option", option_text) == "snnconv.storage.digests.option_text"
