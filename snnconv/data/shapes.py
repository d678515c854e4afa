"""Shapes whose axes may be named: a name stands for any size, the same wherever it occurs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from snnconv.errors import InputError

#: The name of the axis along which samples lie.
BATCH = "batch"

#: Sizes of a tensor's axes, and names of those that may have any size.
Shape = tuple[int | str, ...]


def concrete(shape: Iterable[int | str], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """``shape`` with the ``sizes`` of its named axes."""
    return tuple(sizes[size] if isinstance(size, str) else size for size in shape)


def check_shapes(found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int | str]], what: str) -> None:
    """Raise ``InputError`` unless tensors of the ``found`` shapes are as ``wanted``, equal names having equal sizes."""
    sizes: dict[str, tuple[int, int]] = {}  # by name: a size, and the input that has it
    for position, (own, shape) in enumerate(zip(found, wanted, strict=True)):
        fits = len(own) == len(shape)
        if not fits or any(isinstance(size, int) and size != has for size, has in zip(shape, own, strict=True)):
            raise InputError(
                f"{what}: input {position} has shape {list(own)}, the network takes {list(shape)}"
                + ("; snnconv.resized makes a network for another size" if fits else "")
            )
        for name, has in zip(shape, own, strict=True):
            if isinstance(name, str):
                size, first = sizes.setdefault(name, (has, position))
                if size != has:
                    raise InputError(
                        f"{what}: input {position} has shape {list(own)}, but its axis {name!r} has the size {size} in "
                        f"input {first}"
                    )
