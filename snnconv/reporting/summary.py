"""A report in three sentences, and its main figures."""

from __future__ import annotations

from coding import Concurrent
from snnconv.metrics.binomial import binomial_interval
from snnconv.metrics.costs import Costs
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.reporting.contents import Contents
from snnconv.reporting.detected import FoundBox
from snnconv.reporting.markup import Markup, tag
from snnconv.reporting.wording import count, counted, decimal, joules, percent, ratio, share
from snnconv.spiking.base import NetworkBase
from snnconv.text import at_most


def sentences(contents: Contents) -> tuple[str, str, str]:
    """How well the network does, what that takes, and what hurts it most, a sentence each."""
    return _quality(contents), _cost(contents), _weakness(contents)


def _quality(contents: Contents) -> str:
    found, precision = contents.evaluation, contents.precision
    if found is not None:
        return _judged(found, contents.network.learned)
    if precision is not None:
        pictures = counted(precision.samples, "picture")
        ours, theirs = percent(precision.precision.ap50), percent(precision.reference_precision.ap50)
        return f"On {pictures} it finds objects with an mAP@0.5 of {ours}, the original with {theirs}."
    if contents.pictures:
        found_now, found_before = (sum(map(len, sides)) for sides in zip(*_boxes(contents), strict=True))
        differing = sum(picture.differing for picture in contents.pictures)
        told = (
            "none of them differs"
            if not differing
            else f"{counted(differing, 'box is', 'boxes are')} found by only one of them"
        )
        pictures = counted(len(contents.pictures), "picture")
        return f"On {pictures} it finds {counted(found_now, 'object')}, the original {count(found_before)}, and {told}."
    populations = counted(len(contents.network.populations), "population")
    neurons = counted(sum(each.neurons for each in contents.network.populations.values()), "neuron")
    size = f"The spiking network has {populations} of {neurons}"
    if contents.look is None:
        return f"{size}, and how well it does is not known, because no data were given."
    verification = contents.look.verification
    error = "" if verification is None else f", with an error of {share(verification.output)} at its output"
    return f"{size}, and was looked at on {counted(contents.look.samples, 'sample')}{error}."


def _boxes(contents: Contents) -> list[tuple[tuple[FoundBox, ...], tuple[FoundBox, ...]]]:
    return [(picture.spiking, picture.original) for picture in contents.pictures]


def _judged(found: Evaluation, learned: bool) -> str:
    samples = counted(found.samples, "sample")
    if found.deviation is not None or found.errors is not None:
        told = [] if found.deviation is None else [f"deviate from the original's by {share(found.deviation)}"]
        if found.errors is not None and found.errors.relative is not None:
            told.append(f"from the targets by {share(found.errors.relative)}")
            if found.reference_errors is not None and found.reference_errors.relative is not None:
                told.append(f"where the original's are {share(found.reference_errors.relative)} away")
        if not told and found.errors is not None:
            told = [f"have a mean squared error of {found.errors.mse:.3g}"]
        return f"On {samples} its values {', '.join(told)}."
    if found.accuracy is None:
        if found.agreement is None:
            return f"The spiking network ran on {samples}; there are no targets, so how often it is right is not known."
        alike = f"{percent(found.agreement)} of {_decisions(found, found.decided)}"
        return f"The spiking network decides as the original does in {alike}; there were no targets."
    right = f"The spiking network is right in {percent(found.accuracy)} of {_decisions(found, found.judged)}"
    if found.reference_accuracy is None or found.agreement is None:
        why = "because it learned through its own spikes" if learned else "as none was given"
        return f"{right}, and has no original to be compared with, {why}."
    both = percent(found.agreement)
    if found.judged != found.decided:
        both = f"{both} of {_decisions(found, found.decided)}"
    return f"{right}, the original in {percent(found.reference_accuracy)}, and both agree in {both}."


def _decisions(found: Evaluation, number: int | None) -> str:
    """So many decisions, which are samples where each has one; those of them that have a target, if only some do."""
    some = " with a target" if number != found.decided else ""
    if found.decided == found.samples:
        return f"{counted(number or 0, 'sample')}{some}"
    return f"{counted(number or 0, 'decision')}{some} on {counted(found.samples, 'sample')}"


def _cost(contents: Contents) -> str:
    costs, network = contents.costs, contents.network
    if costs is None:
        if network.timing is not None:
            return (
                f"Its populations fire one after the other, and an output takes {steps_text(network.timing.latency)}."
            )
        return "Its populations run all at once, and its output is there after every time step."
    than = "the original" if not network.learned else "the same network without spikes"
    energy, times = (at_most(each, costs.synops_are_bound) for each in _energy(costs))
    energy = f"{energy} under energy model E3"
    spikes = f"{decimal(costs.spikes_per_neuron, 2)} spikes per neuron"
    return f"A sample takes {steps_text(costs.mean_steps)}, {spikes} and {energy}, {times} what {than} takes."


def _energy(costs: Costs) -> tuple[str, str]:
    """What a sample takes under model E3, and how many times that of the same network with activations."""
    return joules(costs.energy.e3), ratio(costs.energy.e3, costs.energy.e3_reference)


def _weakness(contents: Contents) -> str:
    look = contents.look
    if look is None:
        told = "what hurts it most" if contents.costs is None else "which population hurts it most"
        return f"Give data to see {told}."
    if look.verification is None:
        return "Errors by population are not known, because there are no activations that its spikes stand for."
    reading = look.verification.reading
    samples = counted(look.samples, "sample")
    if not reading.population:
        return f"On {samples} every population says what it should."
    return f"On {samples} {reading.text}."


def described(network: NetworkBase) -> str:
    """What a network is, in half a line."""
    neurons = sum(population.neurons for population in network.populations.values())
    schedule, timing = network.plan.schedule, network.timing
    steps = schedule.steps if isinstance(schedule, Concurrent) else 0 if timing is None else timing.latency
    told = [counted(len(network.populations), "population"), counted(neurons, "neuron")]
    return ", ".join([*told, f"{schedule.name}, {steps_text(steps)}", f"{network.plan.input.name} input"])


def steps_text(steps: float) -> str:
    """A number of time steps, mean or whole."""
    return counted(steps, "time step")


def figures(contents: Contents) -> Markup:
    """The main figures, each with what it is."""
    found = [*_judged_figures(contents), *_cost_figures(contents)]
    if not found:
        return Markup()
    items = [
        tag("div", tag("dt", name), tag("dd", tag("strong", value), tag("small", more) if more else None))
        for name, value, more in found
    ]
    return tag("dl", *items, class_="figures")


def _judged_figures(contents: Contents) -> list[tuple[str, str, str]]:
    found, precision = contents.evaluation, contents.precision
    if precision is not None:
        kept = f"original {percent(precision.reference_precision.ap50)}"
        return [("mAP@0.5", percent(precision.precision.ap50), kept)]
    if found is None:
        return []
    told = []
    if found.errors is not None and found.errors.relative is not None:
        more = "" if found.errors.r2 is None else f"R² {found.errors.r2:.3f}"
        told.append(("error against targets", share(found.errors.relative), more))
    if found.deviation is not None:
        told.append(("deviation from the original", share(found.deviation), ""))
    if found.accuracy is not None:
        low, high = binomial_interval(found.accuracy, found.judged)
        more = f"95 % interval {low:.1f} to {high:.1f} %"
        if found.reference_accuracy is not None:
            more = f"original {percent(found.reference_accuracy)}, {more}"
        told.append(("accuracy", percent(found.accuracy), more))
    if found.agreement is not None:
        told.append(("agreement", percent(found.agreement), "decided as the original"))
    return told


def _cost_figures(contents: Contents) -> list[tuple[str, str, str]]:
    costs = contents.costs
    if costs is None:
        return []
    than = "that without spikes" if contents.network.learned else "the original's"
    synops, energy, times = (at_most(each, costs.synops_are_bound) for each in (count(costs.synops), *_energy(costs)))
    return [
        ("latency", count(costs.mean_steps), "time steps"),
        ("spikes per neuron", decimal(costs.spikes_per_neuron, 3), "per sample"),
        ("synaptic operations", synops, "per sample"),
        ("energy, model E3", energy, f"per sample, {times} {than}"),
    ]
