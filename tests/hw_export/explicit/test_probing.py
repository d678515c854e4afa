"""Maps found by probing, against the operation that was probed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hw_export.explicit.maps import ConvolutionMap, DenseMap, LinearMap, SparseMap
from hw_export.explicit.probing import linear_map
from snnconv.errors import ConfigurationError


def found(respond: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> LinearMap:
    target = tuple(respond(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])
    return linear_map(respond, shape, target, "from a to b")


def weights(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(one: LinearMap, respond: Callable[[Tensor], Tensor]) -> None:
    events = weights(3, *one.source_shape, seed=7)
    np.testing.assert_allclose(one.apply(events.numpy()), respond(events).numpy(), rtol=0, atol=1e-10)


CONVOLUTIONS = {
    "3x3": ((4, 9, 7), (5, 4, 3, 3), {"padding": 1}),
    "without padding": ((4, 9, 7), (5, 4, 3, 3), {}),
    "stride 2": ((4, 9, 8), (5, 4, 3, 3), {"padding": 1, "stride": 2}),
    "stride 2, even kernel": ((4, 8, 8), (5, 4, 4, 4), {"padding": 1, "stride": 2}),
    "stride 3 beside 2": ((4, 9, 8), (5, 4, 3, 3), {"padding": 1, "stride": (3, 2)}),
    "dilation": ((4, 11, 11), (5, 4, 3, 3), {"padding": 2, "dilation": 2}),
    "two groups": ((4, 8, 8), (6, 2, 3, 3), {"padding": 1, "groups": 2}),
    "depthwise": ((6, 8, 8), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    "1x1": ((4, 5, 5), (3, 4, 1, 1), {}),
    "a row": ((4, 5, 8), (3, 4, 1, 5), {"padding": (0, 2)}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_is_found_with_its_own_kernel(name: str) -> None:
    shape, kernel, options = CONVOLUTIONS[name]
    weight = weights(*kernel)
    one = found(lambda x: functional.conv2d(x, weight, **options), shape)  # type: ignore[arg-type]
    assert isinstance(one, ConvolutionMap)
    assert torch.equal(torch.from_numpy(one.weight), weight)
    assert one.groups == options.get("groups", 1)
    assert one.padding == nn.modules.utils._pair(options.get("padding", 0))
    assert_same(one, lambda x: functional.conv2d(x, weight, **options))  # type: ignore[arg-type]


COMPOSED: dict[str, Callable[[Tensor], Tensor]] = {
    "average, then convolution": lambda x: functional.conv2d(
        functional.avg_pool2d(x, 2), weights(5, 4, 3, 3), padding=1
    ),
    "option A shortcut": lambda x: functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)),
    "identity": lambda x: 1.0 * x,
    "two convolutions without padding": lambda x: functional.conv2d(
        functional.conv2d(x, weights(6, 4, 3, 3)), weights(5, 6, 3, 3, seed=1)
    ),
    "shifted down": lambda x: functional.pad(x, (0, 0, 1, 0))[:, :, :-1],
    "shifted up": lambda x: functional.pad(x, (0, 0, 0, 1))[:, :, 1:],
    "cropped": lambda x: x[:, :, 1:-1, 2:],
    "channels turned round": lambda x: x.flip(1),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_operations_together_are_one_convolution_where_they_can_be(name: str) -> None:
    one = found(COMPOSED[name], (4, 8, 8))
    assert isinstance(one, ConvolutionMap)
    assert_same(one, COMPOSED[name])


def test_grouped_kernels_are_as_small_as_the_zeros_allow() -> None:
    one = found(COMPOSED["identity"], (4, 8, 8))
    assert isinstance(one, ConvolutionMap) and one.groups == 4 and one.weight.shape == (4, 1, 1, 1)


MATRICES: dict[str, tuple[type[LinearMap], Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "linear": (DenseMap, lambda x: x @ weights(7, 5).T, (5,)),
    "flatten and linear": (DenseMap, lambda x: x.flatten(1) @ weights(6, 32).T, (2, 4, 4)),
    "global average": (SparseMap, lambda x: x.mean((2, 3)), (8, 4, 4)),
    "upsampling": (SparseMap, lambda x: functional.interpolate(x, scale_factor=2), (3, 4, 4)),
    "rows turned round": (SparseMap, lambda x: x.flip(2), (3, 4, 4)),
    "convolutions whose borders differ": (
        DenseMap,
        lambda x: functional.conv2d(
            functional.conv2d(x, weights(3, 2, 3, 3), padding=1), weights(2, 3, 3, 3, seed=1), padding=1
        ),
        (2, 5, 5),
    ),
    "nothing": (SparseMap, lambda x: 0.0 * x, (2, 4, 4)),
    "to a map": (DenseMap, lambda x: (x @ weights(12, 5).T).view(-1, 3, 2, 2), (5,)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_what_is_no_convolution_is_a_matrix(name: str) -> None:
    kind, respond, shape = MATRICES[name]
    one = found(respond, shape)
    assert isinstance(one, kind)
    assert_same(one, respond)


def test_a_matrix_that_is_too_large_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigurationError, match=r"from a to b is neither.*65536 x 65536"):
        found(lambda x: x.flip(2), (16, 64, 64))


@pytest.mark.parametrize("name", ["3x3", "stride 2, even kernel", "depthwise", "dilation"])
def test_synapses_are_counted_with_their_borders(name: str) -> None:
    shape, kernel, options = CONVOLUTIONS[name]
    one = found(lambda x: functional.conv2d(x, weights(*kernel), **options), shape)  # type: ignore[arg-type]
    ones = functional.conv2d(torch.ones(1, *shape, dtype=torch.float64), weights(*kernel) * 0 + 1, **options)  # type: ignore[arg-type]
    assert one.synapses == int(ones.sum())


@pytest.mark.parametrize("name", [*COMPOSED, *MATRICES])
def test_weights_are_scaled_by_the_channel_they_lead_to(name: str) -> None:
    respond, shape = (COMPOSED[name], (4, 8, 8)) if name in COMPOSED else MATRICES[name][1:]
    one = found(respond, shape)
    factors = np.arange(1.0, one.target_shape[0] + 1)
    events = weights(2, *shape).numpy()
    expected = one.apply(events) * factors.reshape(-1, *[1] * (len(one.target_shape) - 1))
    np.testing.assert_allclose(one.scaled(factors).apply(events), expected, rtol=0, atol=1e-10)
    largest = one.by_target(lambda rows: np.abs(rows).max(1))
    np.testing.assert_allclose(one.scaled(factors).by_target(lambda rows: np.abs(rows).max(1)), largest * factors)


def test_a_written_matrix_is_taken_where_it_is_the_map_and_no_event_is_sent_through_it_one_by_one() -> None:
    shape, matrix = (2, 4, 4), weights(6, 32)
    sent: list[int] = []

    def respond(events: Tensor) -> Tensor:
        sent.append(len(events))
        return events.flatten(1) @ matrix.T

    one = linear_map(respond, shape, (6,), "from a to b", matrix.numpy())
    assert isinstance(one, DenseMap) and one.weight is not None
    assert torch.equal(torch.from_numpy(one.weight), matrix)
    assert sent == [2]
    other = linear_map(respond, shape, (6,), "from a to b", matrix.flip(1).numpy())
    assert sent == [2, 2, 32]  # a matrix that is another map is not taken
    assert_same(other, respond)


def test_a_written_matrix_of_zeros_but_for_a_few_is_kept_sparse() -> None:
    matrix = torch.eye(8, 32, dtype=torch.float64)
    one = linear_map(lambda x: x.flatten(1) @ matrix.T, (2, 4, 4), (8,), "from a to b", matrix.numpy())
    assert isinstance(one, SparseMap) and one.matrix.nnz == 8
