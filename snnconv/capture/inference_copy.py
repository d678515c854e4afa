"""A copy of a model to run, so that the model itself is never changed, not even for a moment."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Container, Iterable
from types import CellType, FunctionType, MethodType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.utils._pytree import tree_leaves

from snnconv.errors import ModelError

#: What running a traced module leaves as it is.
_TRACED = ("_graph", "_in_spec", "_out_spec", "meta", "shape_env", "range_constraints")


def inference_copy(model: nn.Module) -> nn.Module:
    """``model`` in eval mode, as a copy that may do what it likes: nothing of it is the model's but its parameters.

    Parameters are the model's own tensors, unless they were made in inference mode, so that a copy costs no memory for
    them, and what shares one still does.
    Buffers, which a forward pass may change, attributes and hooks are copied. What functions in these reach of the
    model (by name, as a closure, by default, in lists of theirs) is the copy's. Attributes without anything to copy,
    such as locks, are shared. An ``nn.TransformerEncoder`` computes padded tokens as its layers do, and as it does in
    training: torch's nested tensors put zeros there.

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
    for module in copied.modules():
        module.training = False
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False
    _redirect(model, memo)
    return copied


def _kept(model: nn.Module) -> dict[int, Any]:
    """What a copy of ``model`` has in place of tensors and attributes, by their identity."""
    # Those that were made in inference mode torch uses there alone.
    memo: dict[int, Any] = {id(each): each for each in model.parameters() if not each.is_inference()}
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
    except Exception:  # as of a method under another name than its function's
        return False
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


def _redirect(model: nn.Module, memo: dict[int, Any]) -> None:
    """Lead functions in what was copied, which Python shares, to the copies in ``memo``, and not to ``model``."""
    copied = [(key, value) for key, value in memo.items() if key not in (id(value), id(memo))]
    found = _Redirection(
        {id(module): memo[id(module)] for module in model.modules() if id(module) in memo},
        {id(value) for _, value in copied if isinstance(value, (list, dict))},
    )
    for _, value in copied:
        for owner in (value, vars(value) if hasattr(value, "__dict__") and not isinstance(value, Tensor) else None):
            items = owner.items() if isinstance(owner, dict) else enumerate(owner) if isinstance(owner, list) else ()
            for place, each in [*items]:
                moved = found.moved(each)
                if moved is not each:
                    owner[place] = moved  # type: ignore[index]


class _Redirection:
    """Functions, and what they hold, with ``copies``, by the identity of the original, in place of modules.

    Lists and dicts among ``own`` are copies already, which are changed in their place.
    """

    def __init__(self, copies: dict[int, Any], own: set[int]) -> None:
        self._copies, self._own, self._held = copies, own, list[Any]()

    def moved(self, value: Any) -> Any:
        """``value`` as it reaches the copies; ``value`` itself if it reaches nothing of the model."""
        if id(value) in self._copies:
            return self._copies[id(value)]
        make = next((make for kind, make in self._makers.items() if isinstance(value, kind)), None)
        if make is None or id(value) in self._own:
            return value
        self._copies[id(value)] = value  # where they reach each other in a circle
        self._held.append(value)  # lives as long as its identity means it
        self._copies[id(value)] = moved = make(self, value)
        return moved

    def _all(self, values: Iterable[Any]) -> list[Any] | None:
        """All of ``values`` moved; ``None`` where that changes none."""
        values = [*values]
        moved = [self.moved(value) for value in values]
        return None if all(map(operator.is_, values, moved)) else moved

    def _function(self, function: FunctionType) -> FunctionType:
        reached = {
            name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__
        }
        parts = [
            [_content(cell) for cell in function.__closure__ or ()],
            [*(function.__defaults__ or ())],
            [*(function.__kwdefaults__ or {}).values()],
            [*reached.values()],
        ]
        moved = [self._all(part) for part in parts]
        if moved == [None] * len(parts):
            return function
        inside, defaults, by_name, named = (
            part if new is None else new for part, new in zip(parts, moved, strict=True)
        )
        own = (
            function.__globals__ if moved[-1] is None else function.__globals__ | dict(zip(reached, named, strict=True))
        )
        closure = tuple(CellType() if value is _EMPTY else CellType(value) for value in inside)
        bound = FunctionType(function.__code__, own, function.__name__, tuple(defaults) or None, closure)
        bound.__kwdefaults__ = dict(zip(function.__kwdefaults__ or (), by_name, strict=True)) or None
        bound.__dict__.update(function.__dict__)
        return bound

    def _method(self, method: MethodType) -> MethodType:
        moved = self._all([method.__func__, method.__self__])
        return method if moved is None else MethodType(*moved)

    def _partial(self, partial: functools.partial[Any]) -> functools.partial[Any]:
        moved = self._all([partial.func, *partial.args, *partial.keywords.values()])
        if moved is None:
            return partial
        function, *given = moved
        placed, named = given[: len(partial.args)], given[len(partial.args) :]
        return functools.partial(function, *placed, **dict(zip(partial.keywords, named, strict=True)))

    def _list(self, values: list[Any]) -> list[Any]:
        return self._all(values) or values

    def _tuple(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        moved = self._all(values)
        return values if moved is None else type(values)(moved) if type(values) is tuple else type(values)(*moved)

    def _dict(self, values: dict[Any, Any]) -> dict[Any, Any]:
        moved = self._all(values.values())
        return values if moved is None else dict(zip(values, moved, strict=True))

    _makers: ClassVar[dict[type, Callable[[_Redirection, Any], Any]]] = {
        FunctionType: _function,
        MethodType: _method,
        functools.partial: _partial,
        list: _list,
        tuple: _tuple,
        dict: _dict,
    }


_EMPTY = object()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that was not given a value yet
        return _EMPTY
