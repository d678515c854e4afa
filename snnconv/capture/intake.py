"""Intake: weights and example inputs are checked before a model is traced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from snnconv.capture.binding import check_call, next_argument
from snnconv.capture.inference_copy import inference_copy
from snnconv.capture.tracing import first_line
from snnconv.errors import InputError, ModelError
from snnconv.graph.sparse import stored_values


def check_weights(model: nn.Module | ExportedProgram, constants: Mapping[str, Tensor]) -> None:
    """Raise ``ModelError`` unless all floating-point weights are finite, of one precision and on one device."""
    kinds: dict[tuple[torch.dtype, torch.device], str] = {}
    if isinstance(model, ExportedProgram):
        tensors = [*model.state_dict.items(), *model.constants.items()]
    else:
        tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in (*tensors, *constants.items()):
        if not isinstance(tensor, Tensor):
            continue
        if is_lazy(tensor):
            raise ModelError(f"{name} has no size yet, as its module is lazy: run the model once on samples")
        if tensor.is_meta:
            raise ModelError(
                f"{name} is on the meta device, without values: build the model on the CPU, or "
                'model.to_empty(device="cpu"), and load its weights'
            )
        if tensor.is_complex():
            raise ModelError(f"{name} is {tensor.dtype}; write real and imaginary parts as two real tensors")
        if not tensor.is_floating_point():
            continue
        if not bool(torch.isfinite(stored_values(tensor.detach())).all()):
            raise ModelError(f"{name} holds NaN or infinite values; convert a model whose weights are finite")
        kinds.setdefault((tensor.dtype, tensor.device), name)
    for dtype, _ in kinds:
        if dtype not in (torch.float32, torch.float64):
            raise ModelError(
                f"{kinds[next(k for k in kinds if k[0] == dtype)]} is {dtype}; convert the model in single or double "
                "precision: model.float()"
            )
    if len(kinds) > 1:
        listed = ", ".join(f"{name} is {dtype} on {device}" for (dtype, device), name in kinds.items())
        raise ModelError(f"the model's weights differ in precision or device: {listed}; move them with model.to(...)")


def check_inputs(model: nn.Module, inputs: Sequence[Tensor], what: str) -> None:
    """Raise ``InputError`` unless ``model`` runs on ``inputs``, and their precision and device are its weights'."""
    check_call(model, inputs, what)
    weight = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), None)
    for position, tensor in enumerate(inputs):
        if weight is not None and tensor.device != weight.device:
            raise InputError(
                f"{what}: input {position} is on {tensor.device}, the model on {weight.device}; move one of them"
            )
        if tensor.is_complex():
            raise InputError(f"{what}: input {position} is {tensor.dtype}; give real and imaginary parts as two inputs")
        if weight is not None and tensor.is_floating_point() and tensor.dtype != weight.dtype:
            raise InputError(
                f"{what}: input {position} is {tensor.dtype}, the model {weight.dtype}; convert one of them"
            )
    failure: Exception | None = None
    for trial in (tuple(tensor[:2] for tensor in inputs), tuple(inputs)):  # some models fix the size of the batch
        copied = inference_copy(model)
        try:
            with torch.no_grad():
                copied(*(tensor.clone() for tensor in trial))  # some change their input in place
            return
        except Exception as error:
            failure = error
    shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs)
    raise InputError(
        f"{what}: the model itself fails on inputs of shape {shapes}: {first_line(failure)}{_of_types(inputs, failure)}"
    ) from failure


def _of_types(inputs: Sequence[Tensor], failure: Exception | None) -> str:
    """What to do where the model fails since inputs are whole numbers, or are not; empty where it may be otherwise."""
    whole = [str(tensor.dtype) for tensor in inputs if not tensor.is_floating_point()]
    reason = str(failure)
    if whole and any(word in reason for word in ("dtype", "type", "not implemented for")):
        return (
            f"; it was given {' and '.join(dict.fromkeys(whole))}: whole numbers may go through an embedding, and what "
            "else a network takes is floating point: x.float() for pixels and counts"
        )
    if len(whole) < len(inputs) and "indices" in reason:
        return "; numbers that are looked up in a table, as those of tokens in an embedding, are whole: x.long()"
    return ""


def check_pair(model: nn.Module, inputs: Sequence[Tensor], targets: Tensor | None, what: str) -> None:
    """Raise ``InputError`` where ``targets``, the second of a pair, may be meant as an input.

    They may be if they are no class indices, and ``model`` has an argument that would take them and computes
    something else with them.
    """
    name = next_argument(model, len(inputs))
    if targets is None or name is None or not targets.is_floating_point():
        return
    try:
        with torch.no_grad():
            without, with_them = (tree_leaves(inference_copy(model)(*given)) for given in (inputs, (*inputs, targets)))
    except Exception:  # they are no input, as the model cannot take them
        return
    leaves = [[leaf for leaf in found if isinstance(leaf, Tensor)] for found in (without, with_them)]
    same = len(leaves[0]) == len(leaves[1]) and all(map(torch.equal, *leaves))
    if not same:
        raise InputError(
            f"{what}: a pair is (inputs, targets), but forward takes {name} too, and then gives another output; "
            f"for two inputs give ((x, {name}), None), and in place of a DataLoader of pairs "
            f"[((x, {name}), None) for x, {name} in loader]; if they are targets, leave them out: x alone"
        )
