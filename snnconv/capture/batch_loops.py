"""Loops over a batch: a model that goes through its batch sample by sample fixes how many there are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node as FxNode
from torch.utils._pytree import tree_leaves

from snnconv.capture.places import place_of
from snnconv.capture.problems import Preflight, Problem, UnsupportedModelError


def check_no_loop(program: ExportedProgram, model: nn.Module, pair: Sequence[Tensor]) -> None:
    """Raise ``UnsupportedModelError`` where ``model`` computes every sample by itself, one after the other.

    ``program`` is what it was exported to for ``pair``, inputs of two samples. A model that takes the parts of one
    sample along its first axis, as a recurrence over time does, is no such loop: what it computes of one depends on
    others.
    """
    picked = next((users[0] for node in program.graph.nodes if (users := _both_picked(node))), None)
    if picked is None or not _apart(model, pair):
        return
    problem = Problem(
        "loop over the batch",
        place_of(picked),
        "it goes through its batch sample by sample, which fixes the size of the batch",
        "compute on the whole batch at once: body(x), where torch.stack([body(x[i]) for i in range(len(x))]) stands",
    )
    raise UnsupportedModelError(Preflight((), (problem,)))


def _both_picked(node: FxNode) -> list[FxNode]:
    """The operations that take the first and the second of two entries of ``node`` along its first axis."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or value.shape[:1] != (2,):
        return []
    picked: dict[object, FxNode] = {}
    for user in node.users:
        if not isinstance(user.target, torch._ops.OpOverload) or (user.args[1:2] or (0,)) != (0,):
            continue
        name, result = user.target._schema.name, user.meta.get("val")
        if name == "aten::unbind":
            return [user]
        if name == "aten::select" or (name == "aten::slice" and isinstance(result, Tensor) and len(result) == 1):
            picked[user.args[2]] = user
    return [*picked.values()] if len(picked) > 1 else []


def _apart(model: nn.Module, pair: Sequence[Tensor]) -> bool:
    """Whether outputs have an entry for each of two samples, and neither depends on the other sample."""
    with torch.no_grad():
        before = [leaf for leaf in tree_leaves(model(*pair)) if isinstance(leaf, Tensor)]
        for kept in (0, 1):
            changed = [tensor * 0.5 + 0.25 for tensor in pair]
            for mine, theirs in zip(changed, pair, strict=True):
                mine[kept] = theirs[kept]
            after = [leaf for leaf in tree_leaves(model(*changed)) if isinstance(leaf, Tensor)]
            for one, other in zip(before, after, strict=True):
                together = one.shape[:1] == other.shape[:1] == (2,)
                if not together or not torch.allclose(one[kept], other[kept], equal_nan=True):
                    return False
    return bool(before)
