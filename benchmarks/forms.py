"""The forms in which an original network may run: as given, with batch norms folded, and with channels last as well.

What spiking networks cost is told in passes of the original: in those of its fastest form too, because simulators fold
and arrange as well.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval
from torch.utils._pytree import tree_leaves

RAW = "raw"
_TOLERANCE = 1e-3


def forms(model: nn.Module, images: Tensor) -> dict[str, Callable[[], Any]]:
    """A forward pass of ``images`` ``[N, C, H, W]`` in every form, by its name; ``model`` is left as it is.

    Raises ``ValueError`` where a form computes something else.
    """
    folded = with_folded_norms(model, images)
    arranged, arranged_images = channels_last(folded, images)
    found: dict[str, Callable[[], Any]] = {
        RAW: partial(model, images),
        "folded": partial(folded, images),
        "folded, channels last": partial(arranged, arranged_images),
    }
    with torch.no_grad():
        expected = tree_leaves(found[RAW]())
        for name, form in found.items():
            for one, other in zip(tree_leaves(form()), expected, strict=True):
                if not float((one - other).norm()) <= _TOLERANCE * float(other.norm()):
                    raise ValueError(f"{type(model).__name__}, {name}: the output is another one")
    return found


def channels_last(model: nn.Module, images: Tensor) -> tuple[nn.Module, Tensor]:
    """A copy of ``model``, and ``images``, whose channels lie last in memory."""
    arranged: nn.Module = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return arranged, images.contiguous(memory_format=torch.channels_last)


def with_folded_norms(model: nn.Module, images: Tensor) -> nn.Module:
    """A copy of ``model`` whose convolutions have the batch norms behind them in their weights.

    A batch norm is behind a convolution whose output it gets, as a run on the first image shows.
    """
    copied = copy.deepcopy(model).eval()
    made: dict[int, tuple[nn.Module, Tensor]] = {}  # the output is kept, so that no other takes its identity
    pairs: list[tuple[nn.Module, nn.BatchNorm2d]] = []

    def note_output(module: nn.Module, _: object, output: Tensor) -> None:
        made[id(output)] = (module, output)

    def note_pair(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in made:
            assert isinstance(module, nn.BatchNorm2d)
            pairs.append((made[id(inputs[0])][0], module))

    modules = list(copied.modules())
    hooks = [each.register_forward_hook(note_output) for each in modules if isinstance(each, nn.Conv2d)]
    hooks += [each.register_forward_pre_hook(note_pair) for each in modules if isinstance(each, nn.BatchNorm2d)]
    with torch.no_grad():
        copied(images[:1])
    for hook in hooks:
        hook.remove()
    replaced: dict[nn.Module, nn.Module] = {}
    for convolution, norm in pairs:
        assert isinstance(convolution, nn.Conv2d)
        replaced[convolution] = fuse_conv_bn_eval(convolution, norm)
        replaced[norm] = nn.Identity()
    for parent in modules:
        for name, child in list(parent.named_children()):
            if child in replaced:
                setattr(parent, name, replaced[child])
    return copied
