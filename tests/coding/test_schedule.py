from __future__ import annotations

import pytest

from coding import Concurrent, ConfigurationError, Pipeline, Timing

Graph = dict[str, list[str]]


def timing(graph: Graph, lengths: dict[str, int], output: list[str], stride: int | None = None) -> Timing:
    return Pipeline(stride).timing(graph, lengths, output)


def chain(populations: int) -> Graph:
    """p0 fed by nothing that spikes, and every other by the one before it."""
    return {f"p{i}": [f"p{i - 1}"] if i else [] for i in range(populations)}


@pytest.mark.parametrize("steps", [1, 8, 80])
@pytest.mark.parametrize("populations", [1, 2, 5, 16])
def test_windows_of_a_chain_follow_one_another(populations: int, steps: int) -> None:
    graph = chain(populations)
    found = timing(graph, dict.fromkeys(graph, steps), [f"p{populations - 1}"])
    assert list(found.starts.values()) == [i * steps for i in range(populations)]
    assert found.latency == populations * steps
    assert found.closed
    assert found.end("p0") == steps


@pytest.mark.parametrize(
    ("layers", "steps", "stride", "latency"),
    [(16, 80, 80, 1280), (16, 80, 40, 680), (3, 20, 10, 40), (3, 20, 20, 60)],
)
def test_latencies_of_spiking_inputs_are_those_published_for_t2fsnn(
    layers: int, steps: int, stride: int, latency: int
) -> None:
    # The input and all layers but the last fire: L windows for L weight layers, (L - 1) S + T steps.
    graph = chain(layers)
    found = timing(graph, dict.fromkeys(graph, steps), [f"p{layers - 1}"], stride)
    assert found.latency == latency == (layers - 1) * stride + steps
    assert found.closed == (stride >= steps)


@pytest.mark.parametrize("stride", [1, 3, 7])
@pytest.mark.parametrize("populations", [2, 6])
def test_a_stride_shorter_than_the_window_fires_early(populations: int, stride: int) -> None:
    graph = chain(populations)
    found = timing(graph, dict.fromkeys(graph, 8), [f"p{populations - 1}"], stride)
    assert list(found.starts.values()) == [i * stride for i in range(populations)]
    assert found.latency == (populations - 1) * stride + 8
    assert not found.closed
    assert list(found.listens.values()) == [0] + [stride] * (populations - 1)


@pytest.mark.parametrize("stride", [8, 9, 100])
def test_a_stride_as_long_as_the_window_or_longer_waits_for_its_end(stride: int) -> None:
    graph = chain(4)
    assert timing(graph, dict.fromkeys(graph, 8), ["p3"], stride) == timing(graph, dict.fromkeys(graph, 8), ["p3"])


RESIDUAL: Graph = {"a": [], "b": ["a"], "c": ["b"], "sum": ["a", "c"], "head": ["sum"]}


def test_a_population_waits_for_its_latest_source() -> None:
    found = timing(RESIDUAL, dict.fromkeys(RESIDUAL, 10), ["head"])
    assert found.starts == {"a": 0, "b": 10, "c": 20, "sum": 30, "head": 40}
    assert found.latency == 50
    assert found.closed


def test_it_listens_while_any_source_fires() -> None:
    found = timing(RESIDUAL, dict.fromkeys(RESIDUAL, 10), ["head"])
    assert found.listens == {"a": 0, "b": 10, "c": 10, "sum": 20, "head": 10}


def test_steps_in_which_two_sources_fire_are_listened_to_once() -> None:
    graph = {"a": [], "b": [], "sum": ["a", "b"]}
    found = timing(graph, {"a": 8, "b": 5, "sum": 8}, ["sum"])
    assert found.starts == {"a": 0, "b": 0, "sum": 8}
    assert found.listens["sum"] == 8


def test_windows_may_differ_in_length() -> None:
    found = timing(RESIDUAL, {"a": 4, "b": 20, "c": 6, "sum": 8, "head": 1}, ["head"])
    assert found.starts == {"a": 0, "b": 4, "c": 24, "sum": 30, "head": 38}
    assert found.latency == 39
    assert found.listens == {"a": 0, "b": 4, "c": 20, "sum": 10, "head": 8}


def test_the_latest_source_need_not_be_the_last_to_start() -> None:
    graph = {"long": [], "first": [], "second": ["first"], "sum": ["long", "second"]}
    found = timing(graph, {"long": 30, "first": 5, "second": 5, "sum": 5}, ["sum"])
    assert found.starts["sum"] == 30
    assert found.closed


def test_under_early_firing_a_short_source_may_end_before_a_long_one() -> None:
    graph = {"long": [], "short": [], "sum": ["long", "short"]}
    found = timing(graph, {"long": 10, "short": 3, "sum": 5}, ["sum"], stride=4)
    assert found.starts["sum"] == 4
    assert found.listens["sum"] == 4
    assert not found.closed


def test_sources_that_do_not_spike_take_no_window() -> None:
    found = timing({"a": ["input"], "b": ["a", "input"]}, {"a": 8, "b": 8}, ["b"])
    assert found.starts == {"a": 0, "b": 8}
    assert found.latency == 16


def test_a_spiking_input_takes_a_window() -> None:
    found = timing({"a": ["input"], "b": ["a"]}, {"input": 12, "a": 8, "b": 8}, ["b"])
    assert found.starts == {"input": 0, "a": 12, "b": 20}
    assert found.latency == 28


@pytest.mark.parametrize(("output", "latency"), [(["a"], 10), (["a", "b"], 20), (["b", "unknown"], 20), ([], 0)])
def test_the_latency_is_the_end_of_the_last_window_that_the_output_sees(output: list[str], latency: int) -> None:
    assert timing(RESIDUAL, dict.fromkeys(RESIDUAL, 10), output).latency == latency


@pytest.mark.parametrize("stride", [0, -1, 2.0, True, "8"])
def test_a_stride_is_an_integer_from_one(stride: object) -> None:
    with pytest.raises(ConfigurationError, match="stride must be None or an integer from 1"):
        Pipeline(stride)  # type: ignore[arg-type]


def test_schedules_are_values() -> None:
    assert Pipeline() == Pipeline() != Pipeline(4)
    assert Concurrent(8) != Pipeline(8)  # type: ignore[comparison-overlap]
    assert len({Pipeline(), Pipeline(4), Pipeline(4), Concurrent(4)}) == 3
