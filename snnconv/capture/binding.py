"""Binding: arguments of a model's forward that belong to the network, such as an adjacency, are given by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from inspect import Parameter
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from snnconv.data.batches import SEVERAL_INPUTS
from snnconv.errors import ConfigurationError, InputError

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (*_POSITIONAL, Parameter.KEYWORD_ONLY)
_BY_NAME = (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD)


class Bound(nn.Module):
    """A model some of whose arguments are constants; it takes the others in their order."""

    def __init__(self, model: nn.Module, constants: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self.constants = dict(constants)

    def arguments(self, inputs: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the model is called with, by position and by name, for ``inputs``."""
        constants = dict(self.constants)
        if not isinstance(self.model, GraphModule):  # a program takes what it was exported with
            constants = {name: _for_every_sample(value, inputs) for name, value in constants.items()}
        left, placed = list(inputs), list[Any]()
        for name, parameter in _parameters(self.model).items():
            if parameter.kind not in _POSITIONAL:
                break
            if name in constants:
                placed.append(constants.pop(name))
            elif left:
                placed.append(left.pop(0))
            else:
                break
        return (*placed, *left), constants

    def forward(self, *inputs: Tensor) -> Any:
        """The model's output."""
        placed, named = self.arguments(inputs)
        return self.model(*placed, **named)


def _for_every_sample(value: Tensor, inputs: Sequence[Any]) -> Tensor:
    """``value``; repeated for all samples where it is a mask, or whole numbers, for one sample of an input."""
    if value.is_floating_point() or value.layout is not torch.strided or value.dim() < 2 or value.shape[0] != 1:
        return value
    for given in inputs:
        if isinstance(given, Tensor) and given.shape[1:] == value.shape[1:]:
            return value.expand(given.shape)
    return value


def bound(model: nn.Module, constants: Mapping[str, Tensor] | None) -> nn.Module:
    """``model`` as a function of the arguments that ``constants`` does not name.

    Raises ``ConfigurationError`` for a name that ``model.forward`` does not have, for a value that is no tensor, and
    where no argument is left for the input.
    """
    if constants is None or constants == {}:
        return model
    if not isinstance(constants, Mapping):
        raise ConfigurationError(
            f'constants must be tensors by name, such as {{"adj": adj}}, got {type(constants).__name__}'
        )
    parameters = _parameters(model)
    names = [name for name, parameter in parameters.items() if parameter.kind in _NAMED]
    for name, value in constants.items():
        if name not in names:
            catch_all = next((each for each in parameters.values() if each.kind is Parameter.VAR_KEYWORD), None)
            hint = "" if catch_all is None else f", and takes the rest as {catch_all}: say {name} in its signature"
            raise ConfigurationError(
                f"constants: forward has no argument {name!r}; it has {', '.join(names) or 'none'}{hint}"
            )
        if not isinstance(value, Tensor):
            raise ConfigurationError(f"constants: {name} must be a tensor, got {type(value).__name__}")
    free = [name for name, parameter in parameters.items() if name not in constants and _takes_input(parameter)]
    if not free:
        raise ConfigurationError(
            f"constants binds every argument of forward ({', '.join(names)}); leave at least one for the input"
        )
    return Bound(model, {name: _traceable(value) for name, value in constants.items()})


def _traceable(value: Tensor) -> Tensor:
    """``value``; as coordinates if it is in columns or blocks, which torch can hardly trace or multiply."""
    plain = value.layout in (torch.strided, torch.sparse_coo, torch.sparse_csr)
    return value if plain else value.to_sparse(layout=torch.sparse_coo)


def call_arguments(model: nn.Module, inputs: Sequence[Any]) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """The model itself, without what was bound to it, and its arguments by position and by name."""
    if isinstance(model, Bound):
        return (model.model, *model.arguments(inputs))
    return model, tuple(inputs), {}


def check_call(model: nn.Module, inputs: Sequence[Any], what: str) -> None:
    """Raise ``InputError`` where the number of ``inputs`` is not one that ``model`` takes."""
    inner, placed, named = call_arguments(model, inputs)
    try:
        inspect.signature(inner.forward).bind(*placed, **named)
    except TypeError as error:
        parameters = _parameters(inner)
        by_name = [name for name, each in parameters.items() if each.kind in _BY_NAME and name not in named]
        remedy = SEVERAL_INPUTS
        if by_name:
            remedy = (
                f"inputs come by position: what forward takes by name alone ({', '.join(by_name)}) needs a module "
                "around the model whose forward(x) calls model(name=x)"
            )
        raise InputError(
            f"{what}: forward takes ({', '.join(parameters)}), which {len(inputs)} input"
            f"{'s' if len(inputs) != 1 else ''} do{'es' if len(inputs) == 1 else ''} not fit: {error}; {remedy}; an "
            'argument that belongs to the network is named: constants={"adj": adj}'
        ) from error


def next_argument(model: nn.Module, taken: int) -> str | None:
    """The argument of forward that would take one input more than ``taken`` ones; ``None`` if there is none."""
    constants = model.constants if isinstance(model, Bound) else {}
    left = taken
    for name, parameter in _parameters(model.model if isinstance(model, Bound) else model).items():
        if parameter.kind is Parameter.VAR_POSITIONAL:
            return name
        if parameter.kind in _POSITIONAL and name not in constants:
            if left == 0:
                return name
            left -= 1
    return None


def _parameters(model: nn.Module) -> Mapping[str, Parameter]:
    return inspect.signature(model.forward).parameters


def _takes_input(parameter: Parameter) -> bool:
    return parameter.kind in (*_POSITIONAL, Parameter.VAR_POSITIONAL)
