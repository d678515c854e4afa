"""What a report says first: figures over what they count, bounds as bounds, and no figure without its samples."""

from __future__ import annotations

from dataclasses import replace

import torch

import snnconv
from snnconv.metrics.binomial import binomial_interval
from snnconv.metrics.error_sums import ErrorSums, VerificationSums
from snnconv.metrics.reading import read
from snnconv.reporting.wording import count, joules, ratio, share
from tests.support.drawn import Swept
from tests.support.networks import make, network_of
from tests.support.reports import report_of


def test_shares_are_of_the_decisions_that_they_count() -> None:
    model, x = make("deep")
    with torch.no_grad():
        targets = model(x).argmax(1)
    targets[5:] = -100
    found = snnconv.evaluate(network_of("deep"), (x, targets), reference=model)
    report = snnconv.report(network_of("deep"), (x, targets), evaluation=found)
    assert found.accuracy == 100.0 and (found.judged, found.decided) == (5, 40)
    assert report.summary[0] == (
        "The spiking network is right in 100.0 % of 5 samples with a target, the original in 100.0 %, and both agree "
        f"in {found.agreement:.1f} % of 40 samples."
    )
    low, high = binomial_interval(100.0, 5)
    assert f"original 100.0 %, 95 % interval {low:.1f} to {high:.1f} %" in report.html and "±" not in report.html


def test_what_a_bound_gives_is_a_bound() -> None:
    _, x = make("deep")
    found = snnconv.evaluate(network_of("deep"), x[:4])
    bound = replace(found, synops_are_bound=True)
    sure, unsure = (snnconv.report(network_of("deep"), x[:4], evaluation=each) for each in (found, bound))
    assert " and at most " in unsure.summary[1] and "at most" not in sure.summary[1]
    assert unsure.html.count("spiking takes at most ") == 2 and "at most" not in sure.html
    e3, times = joules(found.energy.e3), ratio(found.energy.e3, found.energy.e3_reference)
    assert f"at most {e3} under energy model E3, at most {times} what" in unsure.summary[1]
    for told in (
        f"<strong>at most {count(found.synops)}</strong>",
        f"<strong>at most {e3}</strong>",
        f"at most {times} the original",
        f"At most {count(found.synops)} synaptic operations; most are",
        "synaptic operations: at most ",
    ):
        assert told in unsure.html


def test_energies_of_a_sweep_that_are_bounds_say_so() -> None:
    first, *others = Swept(3).results
    exact, bound = (
        snnconv.report(network_of("deep"), sweep=snnconv.Sweep((replace(first, synops_are_bound=each), *others))).html
        for each in (False, True)
    )
    cost = joules(first.e3)
    for told in ("energy of a sample (model E3), at most", f">at most {cost}<", f"% for at most {cost}"):
        assert told in bound and told not in exact


def test_a_network_that_learned_has_no_original_to_cost_less_than() -> None:
    html = report_of("learned").html
    assert "that without spikes" in html and "the original's" not in html


def test_errors_are_those_of_so_many_samples() -> None:
    assert report_of("one sample").summary[2].startswith("On 1 sample population ")


def test_an_error_relative_to_nothing_is_very_large_and_no_more() -> None:
    dead = ErrorSums(error2=1.0, own2=1.0, total=1)
    reading = read(VerificationSums(1, {"dead": dead}, ErrorSums(error2=1.0)), False)
    assert "error of its own, over 1,000%, " in reading.text and len(reading.text) < 400
    assert (share(1e150), share(-1e150), share(10.0), share(None)) == (
        "over 1,000 %",
        "below -1,000 %",
        "1000.0 %",
        "-",
    )
