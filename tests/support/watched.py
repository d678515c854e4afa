"""A model that notices every change of itself, however short."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

#: What happened to the modules that are watched, by identity.
_EVENTS: dict[int, list[str]] = {}


class _Noticing(nn.Module):
    """Modules that say when an attribute is set or they run, if they are watched themselves: copies are not."""

    def __setattr__(self, name: str, value: Any) -> None:
        if id(self) in _EVENTS:
            _EVENTS[id(self)].append(f"{type(self).__name__}.{name} was set")
        super().__setattr__(name, value)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if id(self) in _EVENTS:
            _EVENTS[id(self)].append(f"{type(self).__name__} ran")
        return super().__call__(*inputs, **named)


class _Norm(_Noticing, nn.BatchNorm1d):
    pass


class Watched(_Noticing):
    """A classifier of 6 numbers in training mode, with a batch norm, dropout, a buffer, a cache and a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), _Norm(8), nn.Linear(8, 3)
        self.register_buffer("offset", torch.zeros(8))
        self.cache: Any = None
        self.last.register_forward_hook(lambda module, inputs, output: output + self.offset[:3])
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        self.cache = x.shape[1]
        hidden = torch.relu(self.norm(self.first(x)) + self.offset)
        return self.last(nn.functional.dropout(hidden, 0.5, self.training))  # type: ignore[no-any-return]


@contextmanager
def watched(model: Watched) -> Iterator[Watched]:
    """Assert that nothing runs or changes ``model``, with a thread beside that looks at modes and buffers."""
    modules = [*model.modules()]
    before = [{name: id(value) for name, value in vars(module).items()} for module in modules]
    versions = [tensor._version for tensor in model.state_dict().values()]
    values = [tensor.clone() for tensor in model.state_dict().values()]
    noticed: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(1e-4):
            if not all(module.training for module in modules):
                noticed.append("a module was in eval mode")

    looking = threading.Thread(target=look)
    _EVENTS.update({id(module): [] for module in modules})
    looking.start()
    try:
        yield model
    finally:
        done.set()
        looking.join()
        events = [event for module in modules for event in _EVENTS.pop(id(module))]
    assert events == [] and noticed == []
    assert [{name: id(value) for name, value in vars(module).items()} for module in modules] == before
    assert [tensor._version for tensor in model.state_dict().values()] == versions
    assert all(map(torch.equal, model.state_dict().values(), values))
