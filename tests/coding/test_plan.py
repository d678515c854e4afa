from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from coding import (
    CODES,
    CodingPlan,
    Concurrent,
    ConfigurationError,
    FewSpike,
    Pipeline,
    PoissonInput,
    Rate,
    RealInput,
    register_code,
)
from coding.plan import as_plan


def test_a_plan_takes_codes_by_name() -> None:
    plan = CodingPlan(hidden="rate", input="poisson")  # type: ignore[arg-type]
    assert isinstance(plan.hidden, Rate)
    assert plan.input == PoissonInput()


def test_the_default_plan_is_a_constant_current_into_a_pipeline_of_few_spike_codes() -> None:
    plan = CodingPlan()
    assert plan.hidden == FewSpike()
    assert plan.input == RealInput()
    assert plan.overrides == {}
    assert plan.schedule == Pipeline()


@pytest.mark.parametrize("steps", [1, 8, 100])
def test_all_populations_run_at_once_for_the_steps_of_the_code(steps: int) -> None:
    assert CodingPlan(hidden=Rate(steps)).schedule == Concurrent(steps)


@pytest.mark.parametrize("coding", ["rate", Rate(64), CodingPlan(Rate(64)), {"*": "rate"}, {"*": Rate(64)}])
def test_a_name_a_code_and_a_plan_mean_the_same_plan(coding: object) -> None:
    assert as_plan(coding) == CodingPlan(hidden=Rate(64), input=RealInput(), schedule=Concurrent(64))


@pytest.mark.parametrize("coding", ["raet", "", 64, None, Rate, 0.5, RealInput()])
def test_what_is_no_code_is_refused_with_the_known_names(coding: object) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown code .*known codes: .*rate"):
        as_plan(coding)


@pytest.mark.parametrize("code", ["analog", "raet", "", 1, None, Rate, PoissonInput])
def test_what_is_no_input_code_is_refused_with_the_known_names(code: object) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown input code .*poisson, rate, real"):
        CodingPlan(input=code)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [0, -4, True, 3.0, "3"])
def test_a_schedule_needs_an_integer_number_of_steps(steps: object) -> None:
    with pytest.raises(ConfigurationError, match="integer"):
        Concurrent(steps)  # type: ignore[arg-type]


def test_a_registered_code_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Rate):
        name = "own"

    monkeypatch.setitem(CODES, "own", Rate)
    register_code(Own)
    assert type(as_plan("own").hidden) is Own


def test_codes_and_plans_are_values_that_do_not_change() -> None:
    assert Rate(8) == Rate(8) != Rate(9)
    assert CodingPlan(Rate(8)) == CodingPlan(Rate(8)) != CodingPlan(Rate(9))
    assert hash(CodingPlan(Rate(8))) == hash(CodingPlan(Rate(8)))
    with pytest.raises(FrozenInstanceError):
        Rate(8).steps = 9  # type: ignore[misc]
