"""A copy of a model to run, so that the model itself is never changed, not even for a moment."""

from __future__ import annotations

import copy
from collections.abc import Container
from types import CellType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.utils._pytree import tree_leaves

from snnconv.errors import ModelError

#: What running a traced module leaves as it is.
_TRACED = ("_graph", "_in_spec", "_out_spec", "meta", "shape_env", "range_constraints")


def inference_copy(model: nn.Module) -> nn.Module:
    """``model`` in eval mode, as a copy that may do what it likes: nothing of it is the model's but its parameters.

    Parameters are the model's own tensors, so that a copy costs no memory for them, and what shares one still does.
    Buffers, which a forward pass may change, attributes and hooks are copied. What functions among these reach of the
    model, by name or as a closure, is the copy's. Attributes without anything to copy, such as locks, are shared.

    Raises ``ModelError`` for a model that holds something else that Python cannot copy.
    """
    memo = _kept(model)
    try:
        _copy_traced(model, memo)
        copied = copy.deepcopy(model, memo)
    except Exception as error:
        raise ModelError(
            f"{type(model).__name__} cannot be copied, and only a copy is run, which leaves the model as it is: "
            f"{type(error).__name__}: {error}; {_culprits(model)}"
        ) from error
    copies = {id(module): memo[id(module)] for module in model.modules() if id(module) in memo}
    for module in copied.modules():
        module.training = False
        for owner in (vars(module), *(found for found in vars(module).values() if isinstance(found, dict))):
            for name, value in owner.items():
                if isinstance(value, FunctionType):
                    owner[name] = _rebound(value, copies)
    return copied


def _kept(model: nn.Module) -> dict[int, Any]:
    """What a copy of ``model`` has in place of tensors and attributes, by their identity."""
    memo: dict[int, Any] = {id(parameter): parameter for parameter in model.parameters()}
    for module in model.modules():
        for value in vars(module).values():
            if not isinstance(module, GraphModule) and _has_nothing_to_copy(value):
                memo[id(value)] = value
        for leaf in tree_leaves([*vars(module).values()]):
            # What was computed from parameters, and compressed rows, Python refuses to copy.
            if isinstance(leaf, Tensor) and not (leaf.is_leaf and leaf.layout is torch.strided):
                memo.setdefault(id(leaf), leaf.detach().clone())
    return memo


def _copy_traced(model: nn.Module, memo: dict[int, Any]) -> None:
    """Put copies of the traced modules of ``model`` into ``memo``: by themselves they leave out hooks and methods."""
    traced = [(module, object.__new__(type(module))) for module in model.modules() if isinstance(module, GraphModule)]
    for module, copied in traced:
        memo[id(module)] = copied
        memo.update({id(vars(module)[name]): vars(module)[name] for name in _TRACED if name in vars(module)})
    for module, copied in traced:
        vars(copied).update(copy.deepcopy(vars(module), memo))


def _has_nothing_to_copy(value: object) -> bool:
    """Whether Python can neither copy ``value`` nor look into it: a lock, an open file, a generator."""
    if isinstance(value, (Tensor, Container)):
        return False
    try:
        copy.copy(value)
    except TypeError:
        return True
    return False


def _culprits(model: nn.Module) -> str:
    """Which attributes stand in the way of a copy, and what to do."""
    names = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in ("_modules", "_parameters"):
                try:
                    copy.deepcopy(value, _kept(module))
                except Exception:
                    names.append(f"{path}.{name}".removeprefix("."))
    named = f"attribute {', '.join(names)}: " if names else ""
    return f"{named}leave it out of the module, or give its class a __deepcopy__"


def _rebound(function: FunctionType, copies: dict[int, Any]) -> FunctionType:
    """``function`` with copies in place of the modules that it reaches; the function itself if it reaches none."""
    if id(function) in copies:
        return copies[id(function)]  # type: ignore[no-any-return]
    copies[id(function)] = function  # where functions reach each other in a circle
    held = [_content(cell) for cell in function.__closure__ or ()]
    inside = [
        _rebound(value, copies) if isinstance(value, FunctionType) else copies.get(id(value), value) for value in held
    ]
    named = {
        name: copies[id(function.__globals__[name])]
        for name in function.__code__.co_names
        if id(function.__globals__.get(name)) in copies
    }
    if not named and all(one is other for one, other in zip(held, inside, strict=True)):
        return function
    own = function.__globals__ | named if named else function.__globals__
    closure = tuple(CellType() if value is _EMPTY else CellType(value) for value in inside)
    bound = FunctionType(function.__code__, own, function.__name__, function.__defaults__, closure)
    bound.__kwdefaults__ = function.__kwdefaults__
    bound.__dict__.update(function.__dict__)
    copies[id(function)] = bound
    return bound


_EMPTY = object()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that was not given a value yet
        return _EMPTY
