"""Tables of results: one set of rows in text, CSV, LaTeX and Markdown, in which nothing is taken for a command."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from torch import nn

import snnconv
from coding import FewSpike, Rate
from hw_export.c.report import ProgramPart, ProgramReport
from hw_export.integers.bit_sweeping import BitResult, BitSweep
from hw_export.lava.report import ExportReport
from hw_export.netx.report import NetxLayer, NetxReport
from snnconv.detection import DetectionEvaluation
from snnconv.detection.precision import Precision
from snnconv.metrics.costs import Costs
from snnconv.spiking.logs import Trial
from snnconv.tables import Column, ResultTable, Tabular
from snnconv.tables.escaping import markdown_text
from tests.support.networks import draw, make, network_of

ODD = ResultTable(
    (Column("name & what"), Column("share", "%", ".1f"), Column("J", form=".2e"), Column("note")),
    (
        ("a_b|c", 12.3456, 1.5e-6, "50 % of $5, {x}"),
        ("[one]\n*two*", None, -2.0, 'said "so", twice'),
        ("--<~^\\`>", math.nan, 3.0, ""),
    ),
)


def test_csv_holds_numbers_in_full_and_is_read_back_as_it_was() -> None:
    head, *rows = csv.reader(io.StringIO(ODD.to_csv()))
    assert head == ["name & what", "share (%)", "J", "note"]
    assert rows == [
        ["a_b|c", "12.3456", "1.5e-06", "50 % of $5, {x}"],
        ["[one]\n*two*", "", "-2.0", 'said "so", twice'],
        ["--<~^\\`>", "", "3.0", ""],
    ]


def test_latex_escapes_all_that_it_would_read_as_a_command() -> None:
    lines = ODD.to_latex().splitlines()
    assert lines[:4] == [r"\begin{tabular}{lrrl}", r"\toprule", r"name \& what & share (\%) & J & note \\", r"\midrule"]
    assert lines[4] == r"a\_b\textbar{}c & 12.3 & $1.50 \times 10^{-6}$ & 50 \% of \$5, \{x\} \\"
    assert lines[5] == r"""{[}one{]} {*}two{*} & -- & $-2.00 \times 10^{0}$ & said "so", twice \\"""
    assert lines[6].startswith(
        r"{-}{-}\textless{}\textasciitilde{}\textasciicircum{}\textbackslash{}\textasciigrave{}\textgreater{} & --"
    )
    assert lines[7:] == [r"\bottomrule", r"\end{tabular}"]


def test_shares_and_infinity_in_latex() -> None:
    table = ResultTable((Column("a"), Column("b", form=".1%"), Column("c", form="+.1f")), (("x", 0.125, math.inf),))
    assert table.to_latex().splitlines()[4] == r"x & 12.5\% & +inf \\"


def test_markdown_cells_hold_no_bar_of_their_own() -> None:
    lines = ODD.to_markdown().splitlines()
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines)
    assert len({len(line) for line in lines}) == 1  # readable as it stands
    assert [set(part.strip()) for part in lines[1].split("|")[1:-1]] == [{"-"}, {"-", ":"}, {"-", ":"}, {"-"}]
    assert markdown_text("&lt; & b") == r"\&lt; \& b"
    assert r"a\_b\|c" in lines[2] and r"\[one\] \*two\*" in lines[3]


def test_a_table_prints_with_units_and_with_nothing_where_there_is_none() -> None:
    table = ResultTable((Column("a"), Column("b", "ms", ".1f")), (("x", 1.25), ("yy", None), ("z", math.nan)))
    assert str(table).splitlines() == ["a   b (ms)", "x      1.2", "yy       -", "z        -"]


def test_a_column_says_what_bounds_are_and_writes_no_number_that_is_too_large_to_tell_anything() -> None:
    columns = (Column("a"), Column("b", "J", ".2f", bounds=True, most=10.0))
    table = ResultTable(columns, (("x", 10.0), ("y", 3e150), ("z", -3e150), ("w", None)))
    assert [line.split("  ")[-1].strip() for line in str(table).splitlines()] == [
        "b, at most (J)",
        "10.00",
        "over 10",
        "below -10",
        "-",
    ]
    assert table.to_csv().splitlines()[1:3] == ["x,10.0", "y,3e+150"]
    assert r"y & over 10 \\" in table.to_latex() and " over 10 |" in table.to_markdown()


def test_a_table_without_rows_is_its_head() -> None:
    table = ResultTable((Column("a"), Column("b")), ())
    assert table.to_csv() == "a,b\n" and table.to_markdown().count("\n") == 2
    assert r"\midrule" in table.to_latex() and str(table) == "a  b"


@pytest.fixture(scope="module")
def results() -> dict[type, Any]:
    """A small result of every kind."""
    model, x = make("deep")
    network, targets = network_of("deep"), model(x).argmax(1)
    evaluation = snnconv.evaluate(network, (x, targets), reference=model)
    precision = {"precision": Precision(50.0, 40.0), "reference_precision": Precision(0.0, 0.0)}
    costs = {name: getattr(evaluation, name) for name in Costs.__dataclass_fields__}
    sweep = snnconv.sweep(
        nn.Sequential(nn.Linear(3, 5), nn.ReLU()), draw(9, 3).float(), draw(9, 3).float(), {"few|4": FewSpike(4)}
    )
    return {
        type(each): each
        for each in (
            network,
            evaluation,
            Costs(**costs),
            DetectionEvaluation(**costs, **precision, precision_by_step=None),
            snnconv.verify(network),
            snnconv.spike_statistics(network, x),
            snnconv.neurobench(network, x),
            sweep,
            snnconv.SearchLog((Trial("rate", 1.0, 2.0, 3, 4e-6),), 0),
            snnconv.TuningLog((1.0, 0.5), (1.5, 1.0), 2.0, 2, 0),
            BitSweep((BitResult("channel", 4, 8, 1500, refused="it overflows"),), 9, None, 1.0, 9),
            ExportReport((), (), {}),
            NetxReport((NetxLayer("a", "dense", (3,), 9, 127, 5, None),), 8, (3,), "once", (), {}),
            ProgramReport("net", 8, (ProgramPart("a", 3, 12, 40, 1.0, 2.0, 3),), 12, 40, "9 samples", (), {}),
        )
    }


def kinds(kind: type = Tabular) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield from kinds(each)
        if not getattr(each, "__abstractmethods__", None):
            yield each


def test_every_kind_of_result_is_a_table_in_every_form(results: dict[type, Any]) -> None:
    project = {kind for kind in kinds() if kind.__module__.partition(".")[0] in ("snnconv", "hw_export")}
    assert project == set(results)
    for kind, result in results.items():
        table = result.to_table()
        rows = list(csv.reader(io.StringIO(result.to_csv())))
        assert rows[0] == [column.head for column in table.columns], kind
        assert len(rows) == len(table.rows) + 1 and {len(row) for row in rows} == {len(table.columns)}, kind
        assert result.to_latex().count(r"\\" + "\n") == len(rows), kind
        assert result.to_markdown().count("\n") == len(rows) + 1, kind
        if kind not in (Costs, snnconv.NeuroBench, snnconv.TuningLog):  # which print as what they are made of
            assert str(table) in str(result), kind


def test_an_evaluation_says_what_the_original_does_first(results: dict[type, Any]) -> None:
    found: snnconv.Evaluation = results[snnconv.Evaluation]
    table = found.to_table()
    assert table.rows[0] == ("original", found.reference_accuracy, None, None)
    assert table.rows[-1] == (24, found.accuracy, found.agreement, found.spikes_per_neuron)
    assert [row[0] for row in table.rows] == ["original", 1, 2, 4, 8, 16, 24]


def test_costs_by_population_add_up(results: dict[type, Any]) -> None:
    found: snnconv.Evaluation = results[snnconv.Evaluation]
    table = found.costs_by_population()
    columns = dict(zip([column.name for column in table.columns], zip(*table.rows, strict=True), strict=True))
    assert columns["population"] == ("layers.1", "layers.3")
    assert sum(columns["neurons"]) == found.neurons and sum(columns["SynOps"]) == pytest.approx(found.synops)
    assert sum(columns["spikes"]) / found.neurons == pytest.approx(found.spikes_per_neuron)


def test_codes_with_commas_stay_in_their_cells() -> None:
    model, x = make("deep")
    network = snnconv.convert(model, x, coding=Rate(4))
    (_, *rows) = csv.reader(io.StringIO(network.to_csv()))
    assert [row[0] for row in rows] == ["layers.1", "layers.3"] and rows[0][3].startswith("rate(4")
