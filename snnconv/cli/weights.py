"""Weights from files as people have them: state dicts, checkpoints around them, and names with prefixes."""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from snnconv.data.arrays import check_unpacked
from snnconv.data.file_kinds import WEIGHTS, unreadable
from snnconv.errors import ModelError

#: Parts of names that wrappers of a module put in: of several devices, compiled, sharded, recomputed.
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
#: Counters of batches seen, and of weights averaged, say nothing about inference, and many files lack or add them.
_COUNTERS = ("num_batches_tracked", "n_averaged")
#: How deep in a checkpoint weights are looked for, and how many names an error gives.
_DEPTH, _NAMES = 3, 3
_SCALAR: Any = np.float64().__reduce__()[0]
#: What checkpoints hold beside tensors that does nothing when it is loaded: options, and numbers of numpy.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(name)) for name in ("float32", "float64", "int32", "int64", "bool")),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    (_SCALAR, "numpy.core.multiarray.scalar"),
]
_OBJECT = re.compile(r"GLOBAL (\S+) was not an allowed global")


def load_weights(model: nn.Module, path: Path) -> None:
    """Give ``model`` the weights in ``path``: a state dict, or the one in a checkpoint that fits the model.

    The names may have what wrappers put in ("module.", "_orig_mod."), and parts in front that all have in common, such
    as "model."; they are left out only if all names and shapes fit then. Nothing is unpickled but tensors, numbers and
    options. Raises ``ModelError`` for a file that cannot be read, for one without weights that fit, and for one with
    several.
    """
    content = _content(path)
    candidates = list(_candidates(content, "", _DEPTH))
    fitting = {place: fit for place, state in candidates if (fit := _fit(model, state)) is not None}
    if not fitting:
        raise ModelError(f"{path} {_misfit(model, content, candidates)}")
    place, fit = next(iter(fitting.items()))
    if len(fitting) > 1:
        raise ModelError(
            f"{path} holds several sets of weights that fit the model: {', '.join(fitting)}; save the one that you "
            f"mean: torch.save(torch.load({str(path)!r}){place}, 'chosen.pth')"
        )
    model.load_state_dict(fit, strict=False)  # again, because what did not fit may have been loaded in part


def _content(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            head = stream.read(9)
        if head[8:] == b"{" or path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        _check_packing(path)
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(unreadable(path, WEIGHTS, getattr(error, "strerror", None) or error)) from error
    except ModelError:
        raise
    except Exception as error:  # torch's reader raises what a broken file happens to cause
        found = _OBJECT.search(str(error))
        if found:
            raise ModelError(
                f"{path} holds Python objects (of {found[1]}), not weights alone, and loading such can run any code. "
                "Where you have the model in Python, save its weights:\n"
                f"    import torch\n    torch.save(model.state_dict(), {str(path.with_stem(path.stem + '_state'))!r})"
            ) from error
        raise ModelError(
            unreadable(path, WEIGHTS, f"it is damaged, or not of torch.save ({type(error).__name__})")
        ) from error


def _check_packing(path: Path) -> None:
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                check_unpacked(archive, path.stat().st_size)
        except ValueError as error:
            raise ModelError(unreadable(path, WEIGHTS, error)) from error


def _candidates(
    content: Any, place: str, depth: int, seen: set[int] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Tensors by name in ``content`` and in the mappings it holds, each once, with the Python that leads to them."""
    seen = set() if seen is None else seen
    if not isinstance(content, Mapping) or id(content) in seen:
        return
    seen.add(id(content))
    named = {name: value for name, value in content.items() if isinstance(name, str)}
    state = {name: each for name, each in named.items() if isinstance(each, Tensor) or name.endswith("_extra_state")}
    if state or not (content or place):
        yield place, state
    if depth:
        for name, value in content.items():
            yield from _candidates(value, f"{place}[{name!r}]", depth - 1, seen)


def _fit(model: nn.Module, state: Mapping[str, Any]) -> dict[str, Any] | None:
    """``state`` under the first of its names that are exactly those of ``model``, with shapes that fit, if any are."""
    for names in _forms(list(state)):
        renamed = dict(zip(names, state.values(), strict=True))
        try:
            missing, unexpected = model.load_state_dict(renamed, strict=False)
        except RuntimeError:  # shapes
            continue
        if not [name for name in (*missing, *unexpected) if not name.endswith(_COUNTERS)]:
            return renamed
    return None


def _forms(names: list[str]) -> Iterator[list[str]]:
    """``names`` as they are, without what wrappers put in, and each of these without parts that all begin with."""
    plain = [".".join(part for part in name.split(".") if part not in _WRAPPERS) for name in names]
    for form in (names, plain) if len(set(plain)) == len(names) else (names,):
        yield form
        while len({name.partition(".")[0] for name in form}) == 1 and all("." in name for name in form):
            form = [name.partition(".")[2] for name in form]
            yield form


def _misfit(model: nn.Module, content: Any, candidates: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """What ``content`` holds instead of weights of ``model``."""
    if not candidates:
        kind = type(content).__name__
        within = f" of {_some(content)}" if isinstance(content, Mapping) else ""
        return f"holds a {kind}{within}, and no state dict, which is tensors by name: save model.state_dict()"
    wanted = model.state_dict()
    forms = [
        (place, dict(zip(names, state.values(), strict=True)))
        for place, state in candidates
        for names in _forms(list(state))
    ]
    place, state = max(forms, key=lambda form: len(wanted.keys() & form[1].keys()))
    missing = [name for name in wanted.keys() - state.keys() if not name.endswith(_COUNTERS)]
    unexpected = [name for name in state.keys() - wanted.keys() if not name.endswith(_COUNTERS)]
    others = [
        f"{name} {list(state[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted.keys() & state.keys()
        if isinstance(wanted[name], Tensor) and not is_lazy(wanted[name]) and wanted[name].shape != state[name].shape
    ]
    parts = {
        f"lacks {len(missing)} of {len(wanted)} tensors": missing,
        f"has {len(unexpected)} that the model has not": unexpected,
        f"has {len(others)} of another shape": others,
    }
    told = "; ".join(f"it {what}: {_some(names)}" for what, names in parts.items() if names)
    return f"does not fit the model{f', with its weights in {place}' if place else ''}: {told}"


def _some(names: Iterable[Any]) -> str:
    """The first of ``names`` in their order, and whether there are more."""
    found = sorted(map(str, names))
    return ", ".join(found[:_NAMES]) + (", ..." if len(found) > _NAMES else "")
