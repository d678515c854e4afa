"""Firing rules in C: one time step of all neurons of a population."""

from __future__ import annotations

from string import Template

import numpy as np

from hw_export.c.draft import Draft, type_for
from hw_export.integers.network import IntegerPopulation
from neurons.integer_lookup import MEMBRANE_LIMIT, PLACE_BITS, LookupRule
from neurons.integer_rules import StreamRule, TableRule

_HEAD = """\
static void $function($state *state$moment)
{
"""
_LOOPS = """\
for (int32_t place = 0; place < $places; ++place) {
    for (int32_t channel = 0; channel < $channels; ++channel) {
        const int32_t neuron = place * $channels + channel;
"""
_END = """\
    }
}
"""


def fire(draft: Draft, node: str, send: str) -> str:
    """The function of a step of the population ``node``, whose spikes are given to the function ``send``."""
    population = draft.integers.populations[node]
    rule = population.rule
    if isinstance(rule, LookupRule):
        body, values = _lookup(draft, node, population, rule)
    elif isinstance(rule, TableRule):
        body, values = _table(draft, node, population, rule)
    else:
        body, values = _stream(draft, node, population, rule)
    moment = "" if isinstance(rule, StreamRule) else ", int32_t moment"
    sites = draft.sites[node]
    return draft.function(
        node,
        "fire",
        Template(_HEAD + body + "}\n"),
        **values,
        moment=moment,
        send=send,
        potential=potential(draft, node),
        places=sites.places,
        channels=sites.channels,
    )


def potential(draft: Draft, node: str) -> str:
    """The membranes of the population ``node``."""
    return draft.member(node, "potential", "int32_t", draft.sites[node].neurons)


def drive(draft: Draft, node: str) -> str:
    """What inputs add to the population or output ``node`` at every step of a stream."""
    return draft.member(node, "drive", "int32_t", draft.sites[node].neurons)


def beginnings(draft: Draft) -> dict[str, str]:
    """What members of the state begin with, expressions by their names, where it is not 0."""
    found = {}
    for node, population in draft.integers.populations.items():
        identifier = draft.identifiers[node]
        first = population.initial
        if not isinstance(population.rule, StreamRule):
            first = first + population.bias
        if first.any():
            found[f"potential_{identifier}"] = draft.number(node, "start", first)
        found |= {f"gain_{identifier}": "1", f"falling_gain_{identifier}": "1"}
    return found


def _looped(body: str, depth: int = 1) -> str:
    """``body``, lines for a neuron, in loops over all neurons."""
    inner = "".join(f"        {line}\n" if line else "\n" for line in body.splitlines())
    lines = (_LOOPS + inner + _END).splitlines()
    return "".join(f"{'    ' * depth}{line}\n" if line else "\n" for line in lines)


# Streams


def _stream(draft: Draft, node: str, population: IntegerPopulation, rule: StreamRule) -> tuple[str, dict[str, object]]:
    arriving = [f"{potential(draft, node)}[neuron]"]
    if population.bias.any():
        arriving.append(draft.number(node, "bias", population.bias))
    if f"drive_{draft.identifiers[node]}" in draft.members:
        arriving.append(f"{drive(draft, node)}[neuron]")
    values: dict[str, object] = {
        "arriving": " + ".join(arriving),
        "threshold": draft.number(node, "threshold", population.threshold),
    }
    body = "int32_t potential = $arriving;\nconst int32_t threshold = $threshold;\n"
    if draft.reaches[node].size >= MEMBRANE_LIMIT:
        values["limit"] = MEMBRANE_LIMIT
        body += _SATURATES
    neurons = draft.sites[node].neurons
    if rule.gain > 1:
        assert rule.largest_gain is not None  # without one its payload has no bound, and quantize refuses it
        values["gain_type"] = type_for(0, rule.largest_gain)
        values["gain"] = draft.member(node, "gain", str(values["gain_type"]), neurons)
        body += "const int32_t gain = (int32_t)$gain[neuron];\n"
        if rule.negative is not None:
            values["falling_gain"] = draft.member(node, "falling_gain", str(values["gain_type"]), neurons)
            body += "const int32_t falling_gain = (int32_t)$falling_gain[neuron];\n"
    else:
        body += "const int32_t gain = 1;\n"
        body += "" if rule.negative is None else "const int32_t falling_gain = 1;\n"
    body += "int32_t payload = 0;\n"
    body += _RISES
    if rule.negative is None:
        body += "potential = (payload != 0) ? 0 : potential;\n" if rule.reset == "zero" else _REMOVES
        body += _grown("gain", "payload", rule) + "$potential[neuron] = potential;\n"
    else:
        values["below"] = "-potential - 1" if rule.halved else "-potential"
        values["charge"] = rule.reciprocal_slope if rule.negative == "imbalanced" else 1
        body += _FALLS + _grown("gain", "payload", rule) + _grown("falling_gain", "taken", rule)
        body += "$potential[neuron] = potential;\n"
        if rule.negative == "imbalanced":
            body += "payload -= taken;\n"
        else:
            values["emitted"] = draft.member(node, "emitted", "int32_t", neurons)
            values["positive"] = rule.positive
            body += _GRADED
    return _looped(body + _SENDS), values


#: Where a membrane could go farther, saturation changes no spike, and nothing overflows.
_SATURATES = """\
potential = potential > $limit ? $limit : potential;
potential = potential < -$limit ? -$limit : potential;
"""
_RISES = """\
if (potential >= gain * threshold) {
    payload = gain;
}
"""
_REMOVES = "potential -= payload * threshold;\n"
_FALLS = """\
int32_t taken = 0;
if ($below >= $charge * falling_gain * threshold) {
    taken = falling_gain;
}
potential += ($charge * taken - payload) * threshold;
"""
_GRADED = """\
const int32_t before = $emitted[neuron];
const int32_t emitted = before + payload - taken;
$emitted[neuron] = emitted;
payload = $positive * ((emitted > 0 ? emitted : 0) - (before > 0 ? before : 0));
payload += (emitted < 0 ? emitted : 0) - (before < 0 ? before : 0);
"""
_SENDS = """\
if (payload != 0) {
    $send(state, place, channel, payload);
}
"""


def _grown(gain: str, fired: str, rule: StreamRule) -> str:
    """The gain after a step: that much larger behind a spike, and 1 again where none came."""
    if rule.gain == 1:
        return ""
    grown = f"{gain} * {rule.gain}"
    grown = f"({grown} < {rule.largest_gain} ? {grown} : {rule.largest_gain})"
    return f"${gain}[neuron] = ($gain_type)({fired} != 0 ? {grown} : 1);\n"


# Windows


def _table(draft: Draft, node: str, population: IntegerPopulation, rule: TableRule) -> tuple[str, dict[str, object]]:
    identifier, steps, rows = draft.identifiers[node], len(rule.payloads), len(rule.thresholds)
    values: dict[str, object] = {
        "payloads": draft.table(node, f"payloads_{identifier}", np.array(rule.payloads)),
        "thresholds": draft.table(node, f"thresholds_{identifier}", np.array(rule.thresholds)),
        "threshold": draft.number(node, "threshold", population.threshold),
        "steps": steps,
        "last_row": rows - 1,
        "limit": rule.limit,
        "slope": rule.reciprocal_slope,
    }
    head = "    const int32_t worth = (int32_t)$payloads[moment];\n"
    remembers = rule.limit is not None or rows > 1 or rule.reciprocal_slope is not None
    body = "const int32_t potential = $potential[neuron];\n"
    count = "fired"
    if remembers:
        values["fired_type"] = type_for(-steps, steps)
        values["fired"] = draft.member(node, "fired", str(values["fired_type"]), draft.sites[node].neurons)
        body += "const int32_t fired = (int32_t)$fired[neuron];\n"
    if rule.reciprocal_slope is not None and (rule.limit is not None or rows > 1):
        count = "count"
        body += "const int32_t count = fired < 0 ? -fired : fired;\n"
    if rule.limit is not None:
        body += f"if ({count} >= $limit) {{\n    continue;\n}}\n"
    if rows > 1:
        body += f"const int32_t row = {count} < $last_row ? {count} : $last_row;\n"
        body += "const int32_t least = (int32_t)$thresholds[row * $steps + moment];\n"
    else:
        head += "    const int32_t least = (int32_t)$thresholds[moment];\n"
    if rule.reciprocal_slope is None:
        body += _FIRES
        body += "    $fired[neuron] = ($fired_type)(fired + 1);\n" if remembers else ""
        body += "    $send(state, place, channel, worth);\n}\n"
    else:
        body += _FIRES_SIGNED
    return head + _looped(body), values


_FIRES = """\
const int32_t threshold = $threshold;
if (potential >= threshold * least) {
    $potential[neuron] = potential - threshold * worth;
"""
#: The sign is settled by the first spike; the potential stands half a unit above its number, below zero nearer to it.
_FIRES_SIGNED = """\
const int32_t negative = (fired < 0 || (fired == 0 && potential < 0)) ? 1 : 0;
const int32_t direction = 1 - 2 * negative;
const int32_t threshold = (negative != 0 ? $slope : 1) * $threshold;
if (potential * direction - negative >= threshold * least) {
    $potential[neuron] = potential - direction * threshold * worth;
    $fired[neuron] = ($fired_type)(fired + direction);
    $send(state, place, channel, direction * worth);
}
"""


def _lookup(draft: Draft, node: str, population: IntegerPopulation, rule: LookupRule) -> tuple[str, dict[str, object]]:
    tables, identifier, neurons = population.tables, draft.identifiers[node], draft.sites[node].neurons
    used = tables._asdict() if rule.levels else {"thresholds": tables.thresholds, "payloads": tables.payloads}
    values: dict[str, object] = {
        what: draft.table(
            node, f"{what}_{identifier}", np.broadcast_to(rows, (draft.sites[node].channels, rule.cells)).T
        )
        for what, rows in used.items()
    }
    values["cell_type"] = type_for(-1, rule.cells)
    values["cell"] = draft.member(node, "cell", str(values["cell_type"]), neurons)
    if not rule.levels:
        return _looped(_FIRST.replace("$keeps", "")), values
    values |= {"cells": rule.cells, "steps": rule.steps, "parts": 2**PLACE_BITS}
    values["rest"] = draft.member(node, "rest", "int32_t", neurons)
    first, second = _looped(_FIRST.replace("$keeps", _KEEPS), 2), _looped(_SECOND, 2)
    head = "    if (moment < $cells) {\n"
    return f"{head}{first}    }} else {{\n        const int32_t number = $steps - moment;\n{second}    }}\n", values


#: A cell counts from 1; 0 is a neuron that was silent so far, and -1 one that has sent its second spike.
_FIRST = """\
const int32_t entry = moment * $channels + channel;
const int32_t potential = $potential[neuron];
if ($cell[neuron] == 0 && potential >= (int32_t)$thresholds[entry]) {
    $cell[neuron] = ($cell_type)(moment + 1);
$keeps    $send(state, place, channel, (int32_t)$payloads[entry]);
}
"""
_KEEPS = "    $rest[neuron] = potential - (int32_t)$origins[entry];\n"
_SECOND = """\
const int32_t cell = (int32_t)$cell[neuron];
if (cell <= 0) {
    continue;
}
const int32_t entry = (cell - 1) * $channels + channel;
if ((int64_t)$rest[neuron] * $parts >= (int64_t)number * (int64_t)$widths[entry]) {
    const int32_t payload = number * (int32_t)$slopes[entry];
    $cell[neuron] = -1;
    if (payload != 0) {
        $send(state, place, channel, payload);
    }
}
"""
