"""Every registered operator, code and neuron has a rule by which random networks use it, and rules keep their word."""

from __future__ import annotations

import ast
import json
from dataclasses import replace

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._pytree import tree_leaves

from coding import CODES, Code
from coding.plan import as_plan
from neurons.registry import NEURONS
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.capture.translation import capture
from snnconv.graph.operators import OPERATORS
from tests.support.random_networks.codings import (
    CODE_RULES,
    CODES_MADE_BY_THE_PROJECT,
    NEURON_RULES,
    NEURONS_MADE_BY_THE_PROJECT,
    Setting,
)
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


def test_every_registered_code_has_a_rule_or_is_made_by_the_project() -> None:
    assert CODES.keys() == CODE_RULES.keys() | CODES_MADE_BY_THE_PROJECT.keys()
    assert CODE_RULES.keys().isdisjoint(CODES_MADE_BY_THE_PROJECT)


def test_every_registered_neuron_has_a_rule_or_is_made_by_the_project() -> None:
    assert NEURONS.keys() == NEURON_RULES.keys() | NEURONS_MADE_BY_THE_PROJECT.keys()
    assert NEURON_RULES.keys().isdisjoint(NEURONS_MADE_BY_THE_PROJECT)


@pytest.mark.parametrize("name", CODE_RULES)
def test_the_rule_of_a_code_draws_it_and_it_can_be_written_down(name: str) -> None:
    @settings(max_examples=3)
    @given(CODE_RULES[name])
    def check(code: Code) -> None:
        assert type(code) is CODES[name]
        setting = Setting(code, stream=code.streams)
        assert Setting.from_dict(json.loads(json.dumps(setting.to_dict()))) == setting

    check()


LEAKY = nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(0.5), nn.Linear(4, 2)).double().eval()


@pytest.mark.parametrize("name", NEURON_RULES)
def test_the_rule_of_a_neuron_gives_networks_with_it(name: str) -> None:
    models = {"signed": LEAKY, "signed-window": LEAKY, "table-lookup": nn.Sequential(LEAKY[0], nn.SiLU(), LEAKY[2])}
    model = models.get(name, nn.Sequential(LEAKY[0], nn.ReLU(), LEAKY[2]))
    calibrator = Calibrator(model, torch.randn(20, 3, dtype=torch.float64), None)

    @settings(max_examples=3)
    @given(st.composite(NEURON_RULES[name])())
    def check(setting: Setting) -> None:
        plan = as_plan(setting.code, None, setting.schedule)
        network = assemble(calibrator.calibrated(plan, setting.options), plan, setting.options)
        assert [type(each.neuron) for each in network.populations.values()] == [NEURONS[name]]

    check()


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
