"""Nothing is analog in silence: what multiplies behind a function that is not affine is refused, or counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from snnconv.capture.roles_report import inspect
from snnconv.errors import ConfigurationError
from snnconv.graph.interpreter import Handler, evaluate_graph
from snnconv.graph.multiplications import multiplications
from snnconv.graph.operators import OPERATORS, Role
from snnconv.spiking.synapses import count_synapses
from tests.support.analog_tails import Tail, random_tail

SEEDS = range(300)


def flops(tail: Tail) -> dict[str, int]:
    """Multiply-accumulates by node, as PyTorch counts them itself while the graph runs."""

    def counted(op: str, name: str, found: dict[str, int]) -> Handler:
        def handle(arguments: Mapping[str, Any]) -> Any:
            with FlopCounterMode(display=False) as counter:
                result = OPERATORS[op].evaluate(arguments)
            found[name] = counter.get_total_flops() // 2
            return result

        return handle

    found: dict[str, int] = {}
    handlers = {name: counted(node.op, name, found) for name, node in tail.graph.nodes.items()}
    with torch.no_grad():
        evaluate_graph(tail.graph, [torch.rand(tail.shape)], handlers=handlers)
    return found


def test_the_random_graphs_are_of_all_kinds() -> None:
    tails = [random_tail(seed) for seed in SEEDS]
    kinds = Counter((bool(tail.analog), bool(tail.functions), tail.spikes_last) for tail in tails)
    assert min(kinds[kind] for kind in [(True, True, False), (False, True, False), (False, False, False)]) >= 20
    assert kinds[True, True, True] >= 10
    operators = Counter(node.op for tail in tails for node in tail.graph.nodes.values())
    assert min(operators[op] for op in ("linear", "matmul", "conv1d", "mul", "softmax", "tanh", "select")) >= 20


@pytest.mark.parametrize("first", SEEDS[::50])
def test_every_multiplication_is_refused_or_counted(first: int) -> None:
    for seed in range(first, first + 50):
        tail = random_tail(seed)
        graph, shapes = tail.graph, {"x": tail.shape}
        report = inspect(graph)
        assert report.ok == (not tail.analog and not tail.spikes_last), seed
        if tail.spikes_last:
            assert [problem.analog for problem in report.problems] == [()] * len(tail.functions), seed
            continue
        refused = [line.name for line in report.lines if line.role is Role.REFUSED]
        assert refused == [name for name, behind in tail.functions.items() if behind], seed
        if tail.analog[1:]:
            assert not inspect(graph, tail.analog[1:]).ok, seed
        allowed = inspect(graph, tail.analog)
        assert allowed.ok, seed
        assert [line.name for line in allowed.lines if line.role is Role.ANALOG] == [*tail.analog], seed
        assert {line.name for line in allowed.lines if line.role is Role.PRODUCT} == tail.products, seed
        counted = flops(tail)
        assert multiplications(graph, shapes) == {name: count for name, count in counted.items() if count}, seed
        synapses = count_synapses(graph, dict.fromkeys(tail.populations), shapes)
        assert synapses.macs == sum(counted.values()), seed
        assert synapses.analog_macs == sum(counted[name] for name in tail.analog), seed
        assert synapses.product_macs == sum(counted[name] for name in tail.products), seed
        spiking = graph.behind(tail.populations)
        assert synapses.input_macs == sum(count for name, count in counted.items() if name not in spiking), seed


@pytest.mark.parametrize("name", ["nothing", "relu_1", ""])
def test_a_name_that_allows_nothing_is_refused_with_those_that_would(name: str) -> None:
    tail = next(tail for tail in map(random_tail, SEEDS) if len(tail.analog) == 2 and "relu_1" in tail.graph.nodes)
    with pytest.raises(ConfigurationError) as caught:
        inspect(tail.graph, [*tail.analog, name])
    assert repr(name) in str(caught.value)
    assert all(operation in str(caught.value) for operation in tail.analog)
