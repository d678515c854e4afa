"""Reports on a network as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from coding import Code, CodingPlan

if TYPE_CHECKING:
    from snnconv.network import SpikingNetwork


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a head, the first column flush left and the others flush right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    )


def summary(network: SpikingNetwork) -> str:
    """What a network is, in half a line: how many populations and neurons, its schedule and its input."""
    neurons = [population.neurons for population in network.populations.values()]
    plan = network.plan
    return f"{len(neurons)} populations, {sum(neurons)} neurons, {plan.schedule}, input {_input_name(plan)}"


def network_report(network: SpikingNetwork) -> str:
    """What became spiking: populations with their neurons, scales and fan-out, and what is approximate."""
    rows, notes = [], []
    synapses = network.synapses
    for node, population in network.populations.items():
        low, high = float(population.scale.min()), float(population.scale.max())
        shape = "x".join(str(size) for size in population.shape)
        scales = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        fan_out = float(synapses.fan_out[node].mean())
        rows.append(
            [
                population.name,
                shape,
                str(population.neurons),
                code_text(population.code),
                scales,
                f"{network.densities[node]:.3f}",
                f"{fan_out:.1f}",
            ]
        )
        if population.channel_axis is None and population.scale.numel() == 1 and len(population.shape) > 1:
            why = "layer normalisation, no channel axis, or max pooling over channels"
            notes.append(f"{population.name}: one scale for all neurons ({why})")
        bound, code = population.activation.maximum, population.code
        if bound is not None and network.timing is None and not (code.bounded and code.period == network.period):
            what = f"{code.name} code has no largest value in a period of {network.period} steps"
            notes.append(f"{population.name}: the bound of {bound:g} is not kept: {what}")
        if population.inserted:
            notes.append(f"{population.name}: inserted, so that the max pooling behind it receives spikes")
        if population.silent_channels:
            notes.append(f"{population.name}: silent channels on calibration data: {len(population.silent_channels)}")
    for node in network.parts.gates:
        how = (
            "passes what raises the largest accumulated payload: exact on decoded values"
            if network.timing is None
            else "passes the train of the largest value: exact"
        )
        notes.append(f"{node}: max pooling {how}")
    for node in synapses.bounds:
        notes.append(f"{node}: several paths join the same neurons; its synaptic operations are an upper bound")
    if network.batch_axis is None:
        shapes = ", ".join("x".join(str(size) for size in shape) for shape in network.input_shapes)
        notes.insert(0, f"the model fixes its first axis: one call is one sample, of shape {shapes}")
    head = f"{summary(network)}, {synapses.macs} MACs"
    if network.timing is not None:
        head += f", latency {network.timing.latency} steps"
    columns = ["population", "shape", "neurons", "code", "scale", "density", "mean fan-out"]
    return "\n".join([head, table(columns, rows), *(f"note: {note}" for note in notes)])


def code_text(code: Code) -> str:
    """A code with its parameters, short enough for a table."""
    values = (getattr(code, field.name) for field in fields(code))
    values = (f"{len(value)} levels" if isinstance(value, tuple) else value for value in values)
    shown = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values if value is not None)
    return f"{code.name}({', '.join(shown)})"


def _input_name(plan: CodingPlan) -> str:
    return plan.input.name if plan.input.code is None else code_text(plan.input.code)
