"""``python -m tests.support.triton_code``: what Triton compiles our kernels to, without a device, as JSON.

Launches are recorded instead of done, and their kernels compiled ahead of time. Of each is said what it computes with:
the instructions of PTX on floats, and how often they come.
"""

from __future__ import annotations

import os

os.environ["TRITON_INTERPRET"] = "0"

import json
import re
from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from coding import Burst, Code, FewSpike, Rate
from neurons import CorrectiveIntegrateFire, IntegrateFire, Neuron, SignedIntegrateFire, SignedWindow
from snnconv.kernels import backends
from snnconv.kernels.largest import place_of_largest
from snnconv.kernels.ratios import ratio
from snnconv.kernels.stream_steps import Span, Steps
from snnconv.spiking.settling import windows_of
from tests.support.windows import drawn_weights, placed, population, with_tables

#: Capabilities of A100 and H100.
OLDER, NEWER = 80, 90
_TYPES = {torch.float32: "*fp32", torch.float64: "*fp64", torch.int32: "*i32", torch.int64: "*i64"}
_ON_FLOATS = re.compile(r"^\s+(?:@\S+\s+)?([a-z]+\.[a-z0-9.]*f(?:32|64))\s", re.MULTILINE)
_MOVES = ("mov", "ld", "st", "setp", "selp")
NEURONS: list[Callable[[Code], Neuron]] = [
    IntegrateFire,
    lambda code: IntegrateFire(code, "zero"),
    CorrectiveIntegrateFire,
    lambda code: SignedIntegrateFire(code, 0.3, "imbalanced"),
    lambda code: SignedIntegrateFire(code, 0.3),
]


class Form(NamedTuple):
    """A kernel, the types of its arguments, and those of them that are part of the code."""

    kernel: JITFunction[Any]
    types: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, kernel: JITFunction[Any], arguments: tuple[Any, ...]) -> Form:
        """The form in which a kernel is launched with ``arguments``."""
        given = dict(zip(kernel.arg_names, arguments, strict=True))
        fixed = {
            each.name
            for each in kernel.params
            if each.is_constexpr
            or given[each.name] is None
            or (_is_one(given[each.name]) and not each.do_not_specialize)
        }
        types = {name: "constexpr" if name in fixed else _type_of(value) for name, value in given.items()}
        return cls(kernel, tuple(types.items()), tuple((name, given[name]) for name in given if name in fixed))

    @property
    def module(self) -> str:
        """The kernel's module."""
        return str(self.kernel.__module__).rpartition(".")[2]

    @property
    def precision(self) -> str:
        """Single or double."""
        return "double" if "*fp64" in dict(self.types).values() else "single"

    def instructions(self, options: dict[str, Any], generation: int) -> dict[str, int]:
        """Instructions on floats in the code for GPUs of a ``generation``, which the assembler took."""
        source = ASTSource(self.kernel, dict(self.types), dict(self.numbers))
        compiled = triton.compile(source, target=GPUTarget("cuda", generation, 32), options=options)
        assert compiled.asm["cubin"]
        found = Counter(_ON_FLOATS.findall(compiled.asm["ptx"]))
        return {name: number for name, number in found.items() if not name.startswith(_MOVES)}


def _is_one(value: Any) -> bool:
    return isinstance(value, int) and value == 1


def _type_of(value: Any) -> str:
    return _TYPES[value.dtype] if isinstance(value, Tensor) else "i32"


def launch_all(dtype: torch.dtype) -> None:
    """Launch every kernel in every form that computes otherwise than others."""
    values = torch.rand(4, 5, 8, 8, dtype=dtype)
    code, weights = FewSpike(8, 1.4, 3), drawn_weights(values.shape[1:])
    for found in (
        population(code, IntegrateFire(code), True, 1),
        population(code, SignedWindow(code, 0.1), False, None),
        with_tables(7, 1, 5),
        with_tables(7, 2, 5),
    ):
        windows_of(placed(found, dtype, values.device)).sum(values, True, weights, by_neuron=True)
    ones = torch.ones(1, dtype=dtype)
    for neuron, rule in product(NEURONS, (Rate(8), Burst(8))):
        steps = Steps(neuron(rule), None, ones, ones, batched=True)
        current = values if rule == Rate(8) else values[:2]  # the same in both steps
        steps.advance(current, None, Span(0, 2, 2, True), own=False, counted=True, watch=None)
    ratio(values, values)
    place_of_largest(values)


def main() -> None:
    """Print module, precision, generation, whether products may be fused with sums, and instructions."""
    options: dict[Form, dict[str, Any]] = {}

    def record(kernel: JITFunction[Any], *arguments: Any, grid: Any, warmup: bool, **given: Any) -> None:
        options[Form.of(kernel, arguments)] = given

    JITFunction.run = record
    backends._interpreted = lambda: True  # so that tensors may lie here
    with backends.backend("triton"), torch.inference_mode():
        for dtype in (torch.float32, torch.float64):
            launch_all(dtype)
    last = {(form.module, form.precision): form for form in options}.values()
    wanted = [(form, OLDER, False) for form in options if form.precision == "single" or form in last]
    wanted += [(form, NEWER, False) for form in last if form.precision == "single"]
    wanted += [(form, OLDER, True) for form in last if form.module == "settled_tables_triton"]
    found = []
    for form, generation, fused in wanted:
        instructions = form.instructions({} if fused else options[form], generation)
        found.append([form.module, form.precision, generation, fused, instructions])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
