"""The public checks, over every registered code, neuron and operator, and over members that break a promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from coding import CODES, Rate
from neurons import NEURONS, IntegrateFire
from snnconv.graph.operators import OPERATORS, Operator, Role
from snnconv.graph.operators.bilinear import BilinearOperator
from snnconv.testing import check_code, check_neuron, check_operator
from snnconv.testing.require import drawn
from tests.support.codes import fitted
from tests.support.linear_examples import linear_examples
from tests.support.neuron_examples import example

IMAGE, SEQUENCE, VECTOR, VOLUME = (2, 2, 4, 4), (2, 2, 5), (2, 4), (2, 1, 4, 4, 3)
POSITIVE = torch.arange(1.0, 5.0)
ALLOWED = torch.tensor([[True], [False], [True], [True]])
POOLED = {"kernel_size": [2], "stride": [], "padding": [1], "ceil_mode": False}
AVERAGED = {**POOLED, "count_include_pad": True, "divisor_override": None}
CONVOLVED: dict[str, Any] = {"stride": [2], "padding": [1], "dilation": [1], "groups": 1}
BAGS = {
    "scale_grad_by_freq": False,
    "mode": 0,
    "sparse": False,
    "per_sample_weights": None,
    "include_last_offset": False,
}
NORMALISED = {"running_mean": POSITIVE, "running_var": POSITIVE, "weight": POSITIVE, "bias": POSITIVE, "eps": 1e-5}


def batch(shape: tuple[int, ...]) -> Tensor:
    return drawn(*shape, seed=0)


def on(shape: tuple[int, ...], /, *ops: str, name: str = "self", **rest: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """One example for each of ``ops``: a signal of this shape as the argument ``name``, then the others."""
    for op in ops:
        yield op, {name: batch(shape), **rest}


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Arguments for every operator; those that carry signals are drawn as signals, the first of all arguments."""
    for axes, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME)):
        weight = drawn(3, shape[1], *(2,) * axes, seed=3) + 0.5
        each = {key: value * axes for key, value in POOLED.items() if isinstance(value, list)}
        yield from on(shape, f"conv{axes}d", name="input", weight=weight, bias=POSITIVE[:3], **CONVOLVED)
        yield from on(shape, f"max_pool{axes}d", **{**POOLED, **each, "dilation": [1] * axes})
        yield from on(shape, f"avg_pool{axes}d", **{**AVERAGED, **each})
        yield from on(shape, f"adaptive_max_pool{axes}d", f"adaptive_avg_pool{axes}d", output_size=[2] * axes)
        yield from on(shape, f"upsample_nearest{axes}d", output_size=None, scale_factors=[2.0] * axes)
    yield from on(VECTOR, "linear", name="input", weight=drawn(3, 4, seed=3) + 0.5, bias=POSITIVE[:3])
    yield from on(VECTOR, "matmul", "mm", "_sparse_mm", other=drawn(4, 3, seed=3))
    yield from on(SEQUENCE, "bmm", other=drawn(2, 5, 3, seed=3))
    yield from on(VECTOR, "channel_affine", name="input", scale=POSITIVE, shift=POSITIVE)
    yield from on(VECTOR, "batch_norm", "_native_batch_norm_legit", name="input", **NORMALISED)
    yield from on(VECTOR, "add", "sub", "rsub", other=POSITIVE, alpha=2)
    yield from on(VECTOR, "mul", "div", other=POSITIVE)
    yield from on(VECTOR, "neg", "relu", "identity_population", "relay_population", "output_population")
    yield from on(VECTOR, "ratio_population", divisor=torch.tensor([[0.5], [0.0]]))
    yield from on(IMAGE, "sum", "mean", "amax", dim=[1, 3], keepdim=False)
    yield from on(IMAGE, "masked_amax", allowed=ALLOWED, dim=[1, 3], keepdim=False)
    yield from on(IMAGE, "masked_scores", allowed=ALLOWED, value=-100.0)
    yield from on(VECTOR, "bounded_relu", maximum=2.0)
    yield from on(VECTOR, "leaky_relu", negative_slope=0.25)
    yield from on(VECTOR, "prelu", weight=POSITIVE)
    yield from on(VECTOR, "_prelu_kernel", weight=POSITIVE)
    yield from on(VECTOR, "rrelu", lower=0.1, upper=0.3, training=False, generator=None)
    yield from on(VECTOR, "maximum", "minimum", "fmax", "fmin", other=POSITIVE)
    yield from on(VECTOR, "softshrink", "hardshrink", lambd=0.5)
    yield from on(VECTOR, "sign")
    yield from on(VECTOR, "gt", "ge", "lt", "le", "eq", "ne", other=0.5)
    yield "forbidden_pairs", {"self": torch.tensor([[0.0, -1e9]]), "sign": 1.0, "biased": False, "infinite": False}
    yield "allowed_pairs", {"forbidden": [POSITIVE > 3, POSITIVE > 2], "allowed": None, "dim": -1, "empty": True}
    yield "where", {"self": batch(VECTOR), "condition": POSITIVE > 2, "other": POSITIVE}
    for op in ("logical_not", "bitwise_not"):
        yield op, {"self": POSITIVE > 2}
    for op in ("logical_and", "logical_or", "bitwise_and", "bitwise_or", "__and__", "__or__"):
        yield op, {"self": POSITIVE > 2, "other": POSITIVE > 3}
    numbers = torch.tensor([[1, 0], [2, 2]])
    yield "one_hot", {"self": numbers, "num_classes": 3}
    yield "whole_cast", {"self": numbers, "dtype": "torch.int32"}
    yield "embedding", {"indices": numbers, "weight": drawn(3, 4, seed=3), "padding_idx": -1}
    yield (
        "embedding_bag",
        {"indices": numbers.flatten(), "weight": drawn(3, 4, seed=3), "offsets": torch.tensor([0, 3]), **BAGS},
    )
    yield from on(VECTOR, "clamp", "clip", min=-1.0, max=2.0)
    yield from on(VECTOR, "clamp_min", min=-1.0)
    yield from on(VECTOR, "clamp_max", max=2.0)
    yield from on(VECTOR, "hardtanh", min_val=-1.0, max_val=2.0)
    yield from on(VECTOR, "relu6")
    yield from on(VECTOR, "threshold", threshold=0, value=0)
    yield from on(VECTOR, "whole_input", step=1.0, largest=100.0)
    yield from on(SEQUENCE, "sym_size", dim=2)
    for op in ("add", "sub", "mul", "floordiv", "mod", "truediv", "pow", "min", "max"):
        yield f"size_{op}", {"a": 7, "b": 2}
    yield from ((op, {"a": 7}) for op in ("size_neg", "size_float"))
    yield from on(VECTOR, "arange", name="like", start=1, end=5, step=2)
    yield from on(VECTOR, "eye", name="like", n=3, m=2)
    yield from on(VECTOR, "zeros", "ones", name="like", size=[2, 3])
    yield from on(VECTOR, "full", name="like", size=[2, 3], fill_value=3.0)
    yield from on(SEQUENCE, "slice", dim=2, start=1, end=5, step=2)
    yield from on(SEQUENCE, "narrow", dim=-1, start=-3, length=2)
    yield from on(SEQUENCE, "select", dim=2, index=1)
    yield from on(SEQUENCE, "split", split_size=2, dim=2)
    yield from on(SEQUENCE, "split_with_sizes", split_sizes=[1, 4], dim=2)
    yield from on(SEQUENCE, "chunk", chunks=2, dim=2)
    yield from on(SEQUENCE, "tensor_split", sections=2, dim=2)
    yield from on(SEQUENCE, "unbind", dim=1)
    yield "getitem", {"self": [batch(VECTOR), torch.ones(VECTOR)], "index": 0}
    yield from ((op, {"tensors": [batch(VECTOR), torch.ones(VECTOR)], "dim": 1}) for op in ("cat", "stack"))
    yield from on(IMAGE, "pad", pad=[1, 2, 0, 1], mode="reflect", value=None)
    yield from on(IMAGE, "constant_pad_nd", pad=[1, 2, -1, 1], value=1.5)
    yield from on(IMAGE, "view", "_unsafe_view", size=[2, 8, 4])
    yield from on(IMAGE, "reshape", shape=[2, -1])
    yield from on(IMAGE, "flatten", start_dim=1, end_dim=-1)
    yield from on(VECTOR, "unflatten", dim=1, sizes=[2, 2])
    yield from on((2, 1, 3), "squeeze", dim=1)
    yield from on(VECTOR, "unsqueeze", dim=1)
    yield from on(IMAGE, "permute", dims=[0, 2, -1, 1])
    yield from on(IMAGE, "transpose", dim0=1, dim1=-1)
    yield from on(IMAGE, "swapaxes", axis0=1, axis1=2)
    yield from on(IMAGE, "movedim", source=[1], destination=[-1])
    yield from on(VECTOR, "t")
    yield from on(IMAGE, "flip", dims=[-1])
    yield from on(IMAGE, "roll", shifts=[2], dims=[-1])
    yield from on((2, 1, 3), "expand", size=[-1, 4, -1])
    yield from on((2, 4, 2, 2), "pixel_shuffle", upscale_factor=2)
    yield from on(IMAGE, "pixel_unshuffle", downscale_factor=2)
    yield from on((2, 4, 2, 2), "channel_shuffle", groups=2)
    yield from on(VECTOR, "softmax", "_safe_softmax", "log_softmax", dim=1, dtype=None)
    yield from on(VECTOR, "pow", exponent=2)
    yield from on(VECTOR, "argmax", "argmin", dim=1, keepdim=False)
    yield from on(VECTOR, "celu", alpha=0.7)
    norm = {"normalized_shape": [4], "weight": drawn(4, seed=5), "bias": None, "eps": 1e-5, "cudnn_enable": False}
    yield "layer_norm", {"input": batch(VECTOR), **norm}
    yield from on(VECTOR, "gelu", approximate="none")
    yield from on(VECTOR, "sigmoid", "tanh", "exp", "square", "abs", "silu", "softplus", "hardsigmoid", "hardswish")
    yield from on(VECTOR, "mish", "elu", "selu", "log_sigmoid", "exp2", "expm1", "erf", "erfc")
    yield from on(VECTOR, "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh")
    yield from on(VECTOR, "tabulated", function='[["exp", {"self": {"result": 0}}], ["neg", {"self": {"result": 1}}]]')
    yield from on(VECTOR, "sinc", "i0", "special_i0e", "special_i1", "special_i1e", "special_erfcx", "special_log_ndtr")
    between = ("asin", "acos", "atanh", "erfinv", "special_entr", "special_ndtri")
    yield from ((op, {"self": batch(VECTOR).sigmoid()}) for op in between)
    yield "logit", {"self": batch(VECTOR).sigmoid(), "eps": None}
    yield "polygamma", {"n": 1, "self": batch(VECTOR).abs() + 1}
    yield "mvlgamma", {"self": batch(VECTOR).abs() + 1, "p": 2}
    positive = ("acosh", "lgamma", "digamma", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal")
    yield from ((op, {"self": batch(VECTOR).abs() + 1}) for op in positive)


EXAMPLES = dict([*examples(), *linear_examples()])


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_an_operator_keeps_its_promises(op: str) -> None:
    assert op in EXAMPLES, f"{op} has no example: give one in EXAMPLES, the first argument a signal"
    if op.startswith("size_"):
        assert isinstance(OPERATORS[op].evaluate(EXAMPLES[op]), (int, float))  # of lengths, which are no signals
    else:
        check_operator(op, EXAMPLES[op], ["self" if op == "polygamma" else next(iter(EXAMPLES[op]))])


def test_a_product_with_a_constant_on_the_left_keeps_its_promises() -> None:
    check_operator("matmul", {"self": drawn(4, 2, seed=3), "other": batch(SEQUENCE)}, ["other"])


@pytest.mark.parametrize(
    "op", sorted(op for op, operator in OPERATORS.items() if isinstance(operator, BilinearOperator))
)
def test_a_product_of_two_signals_keeps_its_promises(op: str) -> None:
    assert check_operator(op, EXAMPLES[op], [*EXAMPLES[op]]) is Role.PRODUCT


@pytest.mark.parametrize("name", CODES)
def test_a_code_keeps_its_promises(name: str) -> None:
    check_code(CODES[name]())  # type: ignore[call-arg] # every code has a default for its steps
    assert CODES[name].name == name


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("neuron", NEURONS)
def test_a_neuron_keeps_its_promises_with_every_code(neuron: str, code: str) -> None:
    check_neuron(example(NEURONS[neuron], fitted(code)))


@dataclass(frozen=True)
class Changed(Rate):
    """A rate code of which one promise is broken."""

    broken: str = ""

    def __post_init__(self) -> None:
        if self.broken == "stored":
            object.__setattr__(self, "steps", self.steps + 1)

    @property
    def maximum(self) -> float:
        return 2.0 if self.broken == "maximum" else 1.0

    @property
    def limit(self) -> int | None:
        return 3 if self.broken == "limit" else None

    @property
    def period(self) -> int:
        return 0 if self.broken == "period" else 1

    def fire(self, potential: Tensor, *rest: Any) -> Any:
        fired: Any = super().fire(potential, *rest)
        payload = fired[0]
        if self.broken == "potential":
            potential.add_(1.0)
        if self.broken == "payload":
            payload.mul_(2.0)
        if self.broken == "silence":
            payload.add_(potential < 0)
        if self.broken == "others":
            payload.mul_(potential.numel() > 300)
        return fired

    def quantize(self, values: Tensor, counted: bool = True) -> Any:
        found = super().quantize(values, counted)
        if self.broken == "closed form":
            return found._replace(values=found.values + (values > 0.5) / self.steps)
        return found._replace(spikes=found.spikes + 1) if self.broken == "count" and found.spikes is not None else found


BROKEN_CODES = {
    "maximum": "a stream must decode to its value within",
    "limit": "a train must not exceed limit spikes",
    "period": "period must lie between 1 and presentation",
    "potential": "fire must not change the potential",
    "payload": "unit_payload promises payloads of 0 and 1",
    "silence": "values at and below zero must be silent",
    "others": "must not depend on the other values",
    "closed form": "quantize must give what fire does step by step",
    "count": "quantize must count the spikes",
    "stored": "its fields, stored and read, must make its equal",
}


@pytest.mark.parametrize("broken", BROKEN_CODES)
def test_a_promise_that_a_code_breaks_is_named(broken: str) -> None:
    check_code(Changed(16))
    with pytest.raises(AssertionError, match=BROKEN_CODES[broken]):
        check_code(Changed(16, broken))


@dataclass(frozen=True)
class ChangedNeuron(IntegrateFire):
    """A neuron of which one promise is broken."""

    broken: str = ""

    def step(self, current: Tensor, state: Any, t: int, factor: Any = 1.0) -> Any:  # type: ignore[override]
        if self.broken == "scale":
            factor = 1.0
        if self.broken == "samples":
            current = current + current.mean(0)
        payload, state = super().step(current, state, t, factor)
        if self.broken == "payload":
            state.potential.set_(payload)
        return payload.half() if self.broken == "precision" else payload, state

    def window(self, values: Tensor, counted: bool = True) -> Any:
        return super().window(values + 0.2 if self.broken == "window" else values, counted)


BROKEN_NEURONS = {
    "scale": "the inverse scale must multiply the current",
    "samples": "samples must not influence each other",
    "payload": "a payload must be no part of the state",
    "precision": "a payload must have the shape and precision of the current",
    "window": "window must give what fire does step by step",
}


@pytest.mark.parametrize("broken", BROKEN_NEURONS)
def test_a_promise_that_a_neuron_breaks_is_named(broken: str) -> None:
    neuron = ChangedNeuron(Rate(12))
    check_neuron(neuron)
    with pytest.raises(AssertionError, match=BROKEN_NEURONS[broken]):
        check_neuron(replace(neuron, broken=broken))


BROKEN_OPERATORS: dict[str, tuple[str, str, Any, str]] = {
    "offset": ("linear", "homogeneous", lambda arguments, carries: arguments, "its homogeneous map plus f"),
    "affine": ("neg", "evaluate", lambda arguments: arguments["self"].square(), r"f\(a \+ b\) must be"),
    "paths": ("sum", "paths", lambda arguments, carries: arguments["self"].amax((1, 3)), "paths must add up"),
    "marks": ("linear", "paths", lambda arguments, carries: torch.zeros(2, 3), "paths must mark"),
    "reach": ("linear", "reach", lambda arguments: arguments["input"], "reach must hold"),
    "spread": ("linear", "spread", lambda node, before, after: OPERATORS["neg"].spread(node, after, after), "promises"),
    "selection": ("flip", "evaluate", lambda arguments: 2 * arguments["self"].flip(-1), "a selection must move"),
    "arguments": ("relu", "evaluate", lambda arguments: arguments["self"].add_(1.0), "must not change its arguments"),
    "activation": ("leaky_relu", "evaluate", lambda arguments: arguments["self"] * 2, "must be the same function"),
    "no weights": ("linear", "macs", lambda arguments, carries, result: 0, "macs must count what sums elements"),
    "weights": ("bmm", "macs", lambda arguments, carries, result: 7, "macs must count one product a weight"),
    "moves": ("flip", "macs", lambda arguments, carries, result: 1, "macs must be 0 for a selection"),
    "mixed": ("linear", "mixed_axis", lambda carries: -2, "mixed_axis promises"),
    "channels": ("permute", "channel_axis", lambda node, axis, shape: axis, "the axis along which channels lie"),
    "no axis": ("neg", "channel_axis", lambda node, axis, shape: 7, "channel_axis must be an axis of the result"),
    "maximum": ("amax", "select", lambda arguments, values: values.amin((1, 3)), "select must take the elements"),
}


def test_a_product_that_is_not_linear_in_its_factors_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPERATORS["mul"], "evaluate", lambda arguments: arguments["self"] * arguments["other"] ** 2)
    with pytest.raises(AssertionError, match="of two signals it must be linear in each by itself"):
        check_operator("mul", EXAMPLES["mul"], ["self", "other"])


@pytest.mark.parametrize("broken", BROKEN_OPERATORS)
def test_a_promise_that_an_operator_breaks_is_named(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    op, method, function, promise = BROKEN_OPERATORS[broken]
    changed: Operator = type(OPERATORS[op])(op)
    monkeypatch.setattr(changed, method, function)
    monkeypatch.setitem(OPERATORS, op, changed)
    with pytest.raises(AssertionError, match=promise):
        check_operator(op, EXAMPLES[op], ["self" if op == "polygamma" else next(iter(EXAMPLES[op]))])


def test_the_check_says_which_role_an_operator_has_at_an_example() -> None:
    assert check_operator("relu", EXAMPLES["relu"], ["self"]) is Role.ACTIVATION
    assert check_operator("conv2d", EXAMPLES["conv2d"], ["input"]) is Role.LINEAR
