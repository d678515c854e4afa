"""Drawings of explicit networks, in the language of Graphviz."""

from __future__ import annotations

from hw_export.explicit.network import ExplicitNetwork


def dot(network: ExplicitNetwork) -> str:
    """``network`` as a directed graph: inputs, populations, gates and outputs, and the synapses between them.

    Graphviz draws it: ``dot -Tsvg network.dot -o network.svg``.
    """
    lines = ["digraph network {", "  rankdir=LR;", "  node [fontname=Helvetica, fontsize=10];"]
    for name, shape in network.inputs.items():
        lines.append(f"  {_quoted(name)} [shape=plaintext, label={_quoted(name, _sizes(shape))}];")
    for node, shape in network.shapes.items():
        kind = "diamond" if node in network.gates else "box"
        lines.append(f"  {_quoted(node)} [shape={kind}, label={_quoted(network.name(node), _sizes(shape))}];")
    for node in network.outputs:
        shape = network.currents[node].shape
        lines.append(f"  {_quoted(node)} [shape=plaintext, label={_quoted(node, _sizes(shape))}];")
    for connection in network.connections:
        label = _quoted(type(connection.map).__name__.lower(), f"{connection.map.synapses} synapses")
        lines.append(f"  {_quoted(connection.source)} -> {_quoted(connection.target)} [label={label}];")
    for node, gate in network.gates.items():
        lines.append(f"  {_quoted(gate.source)} -> {_quoted(node)} [style=dashed];")
    return "\n".join([*lines, "}"]) + "\n"


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
