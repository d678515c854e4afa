"""Every registered operator has a rule by which random networks use it, and every rule keeps its word."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest
import torch
from hypothesis import Phase, given, settings
from torch.utils._pytree import tree_leaves

from snnconv.capture.translation import capture
from snnconv.graph.operators import OPERATORS
from tests.support.random_networks.rule import RULES
from tests.support.random_networks.script import Script
from tests.support.random_networks.strategies import MADE_BY_THE_PROJECT, scripts, side_by_side

#: Samples in which each operator is drawn once, on the first that its rule takes.
SHAPES = {"image": (4, 4, 4), "sequence": (1, 6), "volume": (1, 2, 3, 3), "vector": (4,)}
#: Families whose lines read the size of the batch, or fix it, and so are captured in a way of their own.
OF_SIZES, OF_GRAPHS = "sizes", "whole_graphs"


def test_every_registered_operator_has_a_rule_or_is_made_by_the_project() -> None:
    assert OPERATORS.keys() - MADE_BY_THE_PROJECT.keys() - RULES.keys() == set()
    assert RULES.keys() <= OPERATORS.keys(), "a rule promises an operator that is not registered"
    assert RULES.keys().isdisjoint(MADE_BY_THE_PROJECT)


def first_shape(operator: str) -> str:
    return next(name for name, shape in SHAPES.items() if RULES[operator].takes(operator, shape))


def missing(script: Script, free_batch: bool) -> list[str]:
    """Lines whose promised operator is not found in what they are captured as."""
    model, example = script.module(), script.samples(3)
    graph = capture(model if free_batch else torch.export.export(model, example, strict=False), example)
    outputs = graph.output if len(script.statements) > 1 else [graph.output]
    found = []
    for statement, output in zip(script, outputs, strict=True):
        nodes = replace(graph, output=output).without_dead_nodes().nodes.values()
        if statement.operator not in {node.op for node in nodes}:
            found.append(f"{statement.text}: {sorted({node.op for node in nodes})}")
    return found


@pytest.mark.parametrize("kind", SHAPES)
def test_the_line_of_a_rule_uses_the_operator_that_it_promises(kind: str) -> None:
    apart = (OF_SIZES, OF_GRAPHS)
    operators = [name for name, each in RULES.items() if each.family not in apart and first_shape(name) == kind]

    @settings(max_examples=2, phases=[Phase.generate])  # what is missing is said as it is
    @given(side_by_side(operators, SHAPES[kind]))
    def check(script: Script) -> None:
        assert missing(script, free_batch=False) == []

    check()


@pytest.mark.parametrize("family", [OF_SIZES, OF_GRAPHS])
def test_lines_that_read_or_fix_the_number_of_samples_keep_their_word_too(family: str) -> None:
    operators = [name for name, each in RULES.items() if each.family == family]

    @settings(max_examples=2, phases=[Phase.generate])  # what is missing is said as it is
    @given(side_by_side(operators, SHAPES["vector"]))
    def check(script: Script) -> None:
        assert missing(script, free_batch=True) == []

    check()


@settings(max_examples=20)
@given(scripts())
def test_a_script_prints_as_a_program_that_gives_the_same_network(script: Script) -> None:
    text = str(script)
    ast.parse(text)
    names: dict[str, object] = {"__name__": "pasted"}
    with torch.random.fork_rng(devices=[]):
        exec(text, names)
        pasted = names["make"]()  # type: ignore[operator]
    x = script.samples(3)
    found, expected = (tree_leaves(model(*x)) for model in (pasted, script.module()))
    assert len(found) == len(expected) == len(script.outputs)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@settings(max_examples=20)
@given(scripts())
def test_shapes_are_those_of_the_results(script: Script) -> None:
    found = tree_leaves(script.module()(*script.samples(2)))
    shapes = {each.result.name: each.result.shape for each in script}
    assert [shapes[name] for name in script.outputs] == [tuple(each.shape[1:]) for each in found]
