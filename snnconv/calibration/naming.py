"""Names of populations in reports."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from snnconv.graph.attention_parts import attention_parts
from snnconv.graph.graph import Graph, Node
from snnconv.graph.operators.expression import expression


def population_names(graph: Graph, nodes: Iterable[str]) -> dict[str, str]:
    """A name for every population: the path of its module, with the operator's name unless it is a module itself.

    Those of an attention are called by what they are in it: query, key, score, exp, value, normalised.
    """
    parts_of_attention = attention_parts(graph)
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in nodes:
        node = graph.nodes[name]
        part = parts_of_attention.get(name)
        own_module = part is None and node.source.module_type.startswith("torch.nn.modules.activation.")
        parts = [node.source.module] if own_module else [node.source.module, part or _plain_op(node)]
        wanted = ".".join(part for part in parts if part)
        candidates = itertools.chain([wanted], (f"{wanted}_{number}" for number in itertools.count(1)))
        names[name] = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(names[name])
    return names


def _plain_op(node: Node) -> str:
    plain = {
        "bounded_relu": "clamp",
        "identity_population": "pool_input",
        "relay_population": "relay",
        "ratio_population": "ratio",
        "output_population": "output",
    }
    if node.op == "tabulated":
        return expression(node.arguments["function"]).main
    return plain.get(node.op, node.op)
