"""What numba's kernels see of memory: addresses as arrays, and parts that threads take in turn."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def at(typing: Any, address: Any, kind: Any) -> Any:
    """A pointer to numbers of ``kind``, such as ``np.float32``, at an ``address`` that is a whole number."""
    pointer = types.CPointer(kind.dtype)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, kind), build


@intrinsic
def next_part(typing: Any, job: Any) -> Any:
    """The first field of ``job``, a pointer, which is one more for whoever asks next, in whatever thread."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counter = builder.bitcast(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", counter, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(job), build
