"""Reports on a network as text."""

from __future__ import annotations

from collections.abc import Sequence

from coding import CodingPlan
from snnconv.graph.front import MASKS_ARE_STRUCTURE, front_text, masks_text
from snnconv.graph.real_valued import analog_text, share_text
from snnconv.spiking.base import NetworkBase
from snnconv.tables import Cell, Column, ResultTable
from snnconv.text import code_text

#: What a population was inserted for, by its operator.
_INSERTED = {
    "identity_population": "the maximum behind it receives spikes",
    "relay_population": "products multiply spikes, and weights behind them receive spikes",
    "output_population": "the output is decoded from spike counts",
}


def summary(network: NetworkBase) -> str:
    """What a network is, in half a line: how many populations and neurons, its schedule and its input."""
    neurons = [population.neurons for population in network.populations.values()]
    plan = network.plan
    return f"{len(neurons)} populations, {sum(neurons)} neurons, {plan.schedule}, input {_input_name(plan)}"


def network_report(network: NetworkBase) -> str:
    """What became spiking: populations with their neurons, scales and fan-out, and what is approximate."""
    notes, synapses = [], network.synapses
    for node, population in network.populations.items():
        if population.channel_axis is None and population.scale.numel() == 1 and len(population.shape) > 1:
            why = "layer normalisation, no channel axis, or max pooling over channels"
            notes.append(f"{population.name}: one scale for all neurons ({why})")
        bound, code = population.activation.bound, population.code
        if bound is not None and network.timing is None and not (code.bounded and code.period == network.period):
            what = f"{code.name} code has no largest value in a period of {network.period} steps"
            notes.append(f"{population.name}: the bound of {bound:g} is not kept: {what}")
        if population.tables is not None:
            most = "one spike" if code.limit == 1 else f"at most {code.limit} spikes"
            notes.append(f"{population.name}: {population.activation}, looked up, {most} for a value")
        if code.computes is not None:
            notes.append(f"{population.name}: {population.activation}, by the coefficients of its code")
        if population.inserted:
            notes.append(f"{population.name}: inserted, so that {_INSERTED[network.graph.nodes[node].op]}")
        if node in network.execution_plan.ratios:
            how = "thresholds and what spikes take off are multiplied by the divisor; where it is not above 0, silent"
            notes.append(f"{population.name}: {how}")
        if population.silent_channels:
            notes.append(f"{population.name}: silent channels on calibration data: {len(population.silent_channels)}")
    for node in network.execution_plan.gates:
        how = (
            "passes what raises the largest accumulated payload: exact on decoded values"
            if network.timing is None
            else "passes the train of the largest value: exact"
        )
        notes.append(f"{node}: max pooling {how}")
    if masks := masks_text(network.graph):
        notes.insert(0, f"{MASKS_ARE_STRUCTURE}; made by {masks}")
    if front := front_text(network.graph):
        notes.insert(
            0,
            f"in front, in real numbers and once a sample: {front}; {synapses.input_macs:.4g} of "
            f"{synapses.macs:.4g} multiply-accumulates take what it makes of whole numbers, as any real input",
        )
    if synapses.analog_macs:
        notes.append(f"{share_text(synapses.analog_macs, synapses.macs)}: {analog_text(network.complete_graph())}")
    for node in synapses.bounds:
        notes.append(
            f"{node}: several paths join the same neurons; its fan-out and synaptic operations are upper bounds"
        )
    if network.batch_axis is None:
        shapes = ", ".join("x".join(str(size) for size in shape) for shape in network.input_shapes)
        notes.insert(0, f"the model fixes its first axis: one call is one sample, of shape {shapes}")
    head = f"{summary(network)}, {synapses.macs} MACs"
    if network.timing is not None:
        head += f", latency {network.timing.latency} steps"
    return "\n".join([head, str(population_table(network)), *_gathered(notes)])


def population_table(network: NetworkBase) -> ResultTable:
    """What became spiking: neurons, code, scale and fan-out of every population."""
    columns = (
        *(Column(name) for name in ("population", "shape", "neurons", "code", "scale")),
        Column("density", form=".3f"),
        Column("mean fan-out", form=".1f", bounds=bool(network.synapses.bounds)),
    )
    rows: list[tuple[Cell, ...]] = []
    for node, population in network.populations.items():
        low, high = float(population.scale.min()), float(population.scale.max())
        rows.append(
            (
                population.name,
                "x".join(str(size) for size in population.shape),
                population.neurons,
                code_text(population.code),
                f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}",
                network.densities[node],
                float(network.synapses.fan_out[node].mean()),
            )
        )
    return ResultTable(columns, tuple(rows))


def _gathered(notes: Sequence[str]) -> list[str]:
    """Lines of ``notes``: what is said of several populations once, with the names of all."""
    names: dict[str, list[str]] = {}
    for note in notes:
        name, colon, said = note.partition(": ")
        names.setdefault(said if colon else note, []).append(name)
    return [f"note: {', '.join(of)}: {said}" if [said] != of else f"note: {said}" for said, of in names.items()]


def _input_name(plan: CodingPlan) -> str:
    return plan.input.name if plan.input.code is None else code_text(plan.input.code)
