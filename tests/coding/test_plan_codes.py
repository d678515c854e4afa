"""Which codes have a meaning together, under which schedule, and for which populations."""

from __future__ import annotations

import pytest

from coding import (
    TTFS,
    Burst,
    Code,
    CodingPlan,
    Concurrent,
    ConfigurationError,
    FewSpike,
    OneSpike,
    Phase,
    Pipeline,
    PoissonInput,
    Rate,
    RealInput,
    Schedule,
    SpikeInput,
)
from coding.input_codes import InputCode
from coding.plan import as_plan, period_of
from coding.registry import named_codes

WINDOW_ONLY = [TTFS(), OneSpike(8, 1.4), FewSpike(8, 2.0)]
NUMBERED = [Rate(8), Phase(8), TTFS(20, 5.0), OneSpike(8, 1.4), FewSpike(8, 2.0)]


@pytest.mark.parametrize(
    ("hidden", "input", "schedule"),
    [
        (Rate(8), "real", Concurrent(8)),
        (Burst(32), "real", Concurrent(32)),
        (Phase(8), "real", Pipeline()),
        (TTFS(20), "real", Pipeline()),
        (OneSpike(8), "real", Pipeline()),
        (FewSpike(8), "real", Pipeline()),
        (Rate(8), "poisson", Concurrent(8)),
        (Phase(8), "poisson", Concurrent(8)),
        (Burst(64), Phase(8), Concurrent(64)),
        (OneSpike(8), Phase(8), Pipeline()),
    ],
    ids=str,
)
def test_without_a_schedule_a_plan_takes_the_one_that_its_codes_are_made_for(
    hidden: Code, input: object, schedule: Schedule
) -> None:
    assert CodingPlan(hidden, input).schedule == schedule  # type: ignore[arg-type]


def test_overrides_count_for_the_default_schedule() -> None:
    assert CodingPlan(Rate(8), overrides={"head": Rate(30)}).schedule == Concurrent(30)
    assert CodingPlan(Rate(8), overrides={"head": OneSpike(8)}).schedule == Pipeline()
    assert CodingPlan(OneSpike(8), overrides={"head": Rate(8)}).schedule == Pipeline()


@pytest.mark.parametrize("input", [*NUMBERED, "real"], ids=str)
@pytest.mark.parametrize("hidden", NUMBERED, ids=str)
def test_window_codes_and_rate_mix_freely_in_a_pipeline(hidden: Code, input: object) -> None:
    plan = CodingPlan(hidden, input, {"a": Rate(4), "b": Phase(5)}, Pipeline())  # type: ignore[arg-type]
    assert plan.schedule == Pipeline()


@pytest.mark.parametrize("schedule", [Pipeline(), Pipeline(4)])
@pytest.mark.parametrize(
    "arguments",
    [{"hidden": Burst()}, {"hidden": OneSpike(8), "overrides": {"a": Burst()}}, {"input": Burst(), "hidden": Rate(8)}],
    ids=["hidden", "override", "input"],
)
def test_burst_has_no_window_form(arguments: dict[str, object], schedule: Schedule) -> None:
    with pytest.raises(
        ConfigurationError, match=r"Burst( as input)? has no window form.*use schedule=Concurrent\(steps\)"
    ):
        CodingPlan(schedule=schedule, **arguments)  # type: ignore[arg-type]


def test_burst_among_window_codes_is_refused_whatever_the_schedule() -> None:
    for schedule in (None, Pipeline(), Concurrent(8)):
        with pytest.raises(ConfigurationError):
            CodingPlan(OneSpike(8), overrides={"a": Burst()}, schedule=schedule)  # type: ignore[arg-type]


def test_a_stream_of_bursts_as_input_makes_codes_that_have_both_forms_streams() -> None:
    assert CodingPlan(Phase(8), SpikeInput(Burst(), every=8)).schedule == Concurrent(8)
    with pytest.raises(ConfigurationError, match=r"periods of 5, 8 steps.*SpikeInput\(code, every=steps\)"):
        CodingPlan(Phase(8), Burst())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "every", "reason"),
    [(Burst(), 4, "at least that; got 4"), (Phase(8), 4, "multiple of 8; got 4"), (Phase(8), 12, "multiple of 8")],
    ids=["burst", "phase", "broken phase"],
)
def test_an_input_must_wait_until_its_value_has_been_presented(code: Code, every: int, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        SpikeInput(code, every)


def test_an_input_that_waits_has_no_meaning_in_a_pipeline() -> None:
    with pytest.raises(ConfigurationError, match="every=16 is not supported under Pipeline"):
        CodingPlan(OneSpike(8), SpikeInput(Phase(8), every=16))


@pytest.mark.parametrize("schedule", [None, Pipeline()])
def test_a_poisson_input_cannot_fill_a_window(schedule: Schedule | None) -> None:
    with pytest.raises(ConfigurationError, match=r"poisson input is a stream.*use real input, a window code as input"):
        CodingPlan(OneSpike(8), PoissonInput(), schedule=schedule)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", WINDOW_ONLY, ids=str)
@pytest.mark.parametrize("place", ["hidden", "override", "input"])
def test_a_window_code_cannot_run_concurrently(place: str, code: Code) -> None:
    arguments = {
        "hidden": {"hidden": code},
        "override": {"hidden": Rate(8), "overrides": {"a": code}},
        "input": {"hidden": Rate(8), "input": code},
    }
    with pytest.raises(ConfigurationError, match=rf"{type(code).__name__}( as input)? is a window code.*Pipeline\(\)"):
        CodingPlan(schedule=Concurrent(8), **arguments[place])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codes", "input", "period"),
    [
        ([Rate(8)], RealInput(), 1),
        ([Phase(8)], RealInput(), 8),
        ([Phase(8), Rate(64), Burst(64)], SpikeInput(Phase(8)), 8),
        ([Rate(8)], SpikeInput(Phase(6)), 6),
        ([Rate(8)], SpikeInput(Burst()), 5),
        ([Burst()], PoissonInput(), 1),
        ([Phase(8)], SpikeInput(Burst(), every=8), 8),
        ([Rate(8)], SpikeInput(Rate(8), every=4), 4),
    ],
)
def test_a_network_presents_a_value_over_the_period_that_its_codes_share(
    codes: list[Code], input: InputCode, period: int
) -> None:
    assert period_of(codes, input) == period


@pytest.mark.parametrize(
    ("hidden", "input", "overrides"),
    [
        (Phase(8), SpikeInput(Phase(6)), {}),
        (Phase(8), RealInput(), {"a": Phase(4)}),
        (Phase(8), SpikeInput(Burst()), {}),
    ],
)
def test_codes_with_different_periods_cannot_run_concurrently(
    hidden: Code, input: InputCode, overrides: dict[str, Code]
) -> None:
    with pytest.raises(ConfigurationError, match=r"periods of \d, \d steps.*the same period"):
        CodingPlan(hidden, input, overrides, Concurrent(64))


@pytest.mark.parametrize("schedule", ["pipeline", 8, Pipeline])
def test_what_is_no_schedule_is_refused(schedule: object) -> None:
    with pytest.raises(ConfigurationError, match=r"Concurrent\(steps\) or Pipeline\(\)"):
        CodingPlan(Rate(8), schedule=schedule)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["features.0", "features.12", "head", "x.head"])
def test_the_first_pattern_that_matches_gives_the_code(name: str) -> None:
    plan = CodingPlan(
        OneSpike(8), overrides={"features.1?": OneSpike(1), "features.*": OneSpike(2), "head": OneSpike(3)}
    )
    expected = {"features.0": 2, "features.12": 1, "head": 3, "x.head": 8}
    assert plan.code_for(name).steps == expected[name]


def test_a_population_goes_by_any_of_its_names() -> None:
    plan = CodingPlan(OneSpike(8), overrides={"relu_1": OneSpike(3)})
    assert plan.code_for("features.2", "relu_1").steps == 3
    assert plan.code_for("features.2").steps == 8


def test_a_pattern_that_matches_nothing_is_an_error_that_lists_the_populations() -> None:
    plan = CodingPlan(OneSpike(8), overrides={"conv*": OneSpike(3), "haed": OneSpike(4)})
    plan_names = [("conv1", "relu"), ("head", "relu_1")]
    with pytest.raises(ConfigurationError, match="no population is called 'haed'; populations: conv1, head"):
        plan.check_names(plan_names)
    CodingPlan(OneSpike(8), overrides={"conv*": OneSpike(3), "relu_1": OneSpike(4)}).check_names(plan_names)


def test_a_mapping_gives_codes_by_pattern_and_a_star_the_rest() -> None:
    plan = as_plan({"head": "rate", "*": OneSpike(8)})
    assert (plan.code_for("head"), plan.code_for("other")) == (Rate(), OneSpike(8))
    assert as_plan({"head": "rate"}).hidden == FewSpike()


def test_an_input_and_a_schedule_of_ones_own_replace_those_of_a_plan() -> None:
    plan = CodingPlan(Phase(8), Phase(8), {"a": Phase(8)})  # type: ignore[arg-type]
    again = as_plan(plan, "real", Concurrent(40))
    assert again == CodingPlan(Phase(8), RealInput(), {"a": Phase(8)}, Concurrent(40))
    assert as_plan(plan) is plan


def test_another_input_keeps_a_schedule_that_was_asked_for_and_no_other() -> None:
    plan = CodingPlan(Phase(8), RealInput(), {}, Concurrent(40))
    assert as_plan(plan, "poisson").schedule == Concurrent(40)
    assert as_plan(CodingPlan(Phase(8)), "poisson").schedule == Concurrent(8)


@pytest.mark.parametrize(("pattern", "code"), [("head", "rte"), ("*", None), ("*", "whole-table")])
def test_an_unknown_code_in_a_mapping_is_refused_with_the_known_names(pattern: str, code: object) -> None:
    with pytest.raises(ConfigurationError, match="unknown code .*" + ", ".join(sorted(named_codes()))):
        as_plan({pattern: code})
