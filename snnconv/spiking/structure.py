"""The structure of a network as text: what must be equal before one network takes the tensors of another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coding import CodingPlan
from snnconv.data.shapes import Shape
from snnconv.errors import ModelError
from snnconv.graph.graph import Graph
from snnconv.spiking.population import Population

#: Differences that an error lists.
_TOLD = 3


def structure_of(
    graph: Graph, plan: CodingPlan, populations: Mapping[str, Population], input_shapes: Sequence[Shape]
) -> dict[str, str]:
    """All that makes a network but its tensors, by what it is called: codes, neurons, activations, operations, plan.

    The places of the user's code, and names that only reports use, are no part of it.
    """
    parts = [part for part in (graph.front, graph) if part is not None]
    nodes = [node for part in parts for node in part.nodes.values()]
    lines = [f"{node.name} {node.op} {dict(node.arguments)!r}" for node in nodes]
    lines += [f"{part.output!r} {sorted(part.parameters)} {sorted(part.whole.items())}" for part in parts]
    lines += [f"masks {sorted(graph.masks.items())}"] if graph.masks else []
    operations = "\n".join(lines)
    found = {
        "inputs": f"{[list(shape) for shape in input_shapes]}, batch axis {graph.batch_axis}",
        "input code": _text(plan.input),
        "schedule": _text(plan.schedule),
        "populations": ", ".join(populations),
    }
    for population in populations.values():
        for part in ("code", "neuron", "activation", "channel_axis", "shape"):
            text = _text(getattr(population, part), without="code" if part == "neuron" else "")
            found[f"{part.replace('_', ' ')} of {population.name}"] = text
    return found | {"operations": _digest(operations.encode())}


def to_state(structure: Mapping[str, str], content: Mapping[str, Any]) -> Tensor:
    """``structure`` and what else goes with tensors from network to network, as one tensor of bytes."""
    text = json.dumps({"structure": dict(structure), **content})
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def from_state(state: Tensor, structure: Mapping[str, str]) -> dict[str, Any]:
    """What ``to_state`` was given as ``content``.

    Raises ``ModelError`` for a state that is not one, or that of a network with another ``structure``.
    """
    try:
        content = json.loads(state.cpu().numpy().tobytes())
        theirs = content.pop("structure")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError("the state dict holds no structure of a spiking network; take network.state_dict()") from error
    differing = [part for part in {**structure, **theirs} if structure.get(part) != theirs.get(part)]
    if differing:
        told = [f"{part} is {theirs.get(part, 'none')}, here {structure.get(part, 'none')}" for part in differing]
        more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        raise ModelError(
            f"the state dict is of another network: {'; '.join(told[:_TOLD])}{more}; convert the same model with the "
            "same options, or carry the whole network: network.save(path) and snnconv.load(path)"
        )
    found: dict[str, Any] = content
    return found


def _text(value: Any, without: str = "") -> str:
    """``value``, but for its field ``without``, as text that differs where it would compute something else."""
    if isinstance(value, nn.Module):  # around which a neuron of another library stands
        tensors = (tensor for tensor in value.state_dict().values() if isinstance(tensor, Tensor))
        return f"{value!r} {_digest(b''.join(tensor.cpu().numpy().tobytes() for tensor in tensors))}"
    if is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in fields(value) if field.name != without)
        parts = (f"{name}={_text(getattr(value, name))}" for name in names)
        return f"{type(value).__qualname__}({', '.join(parts)})"
    return repr(value)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
