"""What cannot be converted is refused with its place and with its own remedy, once, and the model stays as it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnconv
from coding import Rate
from snnconv.capture.places import is_users
from snnconv.capture.problems import Preflight, UnsupportedModelError
from snnconv.errors import ConfigurationError, InputError, ModelError
from snnconv.graph.operators.remedies import remedy_for
from tests.support.operators import Apply

X = torch.rand(4, 8, generator=torch.Generator().manual_seed(0))
SEQUENCES = torch.rand(4, 5, 8, generator=torch.Generator().manual_seed(1))


class Around(nn.Module):
    """A function between two layers, with a layer of its own."""

    def __init__(self, function: Callable[[Any, Tensor], Any], layer: nn.Module | None = None) -> None:
        super().__init__()
        self.function, self.layer = function, layer
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        return self.last(torch.relu(self.function(self, self.first(x))))


def refused(model: nn.Module, x: Tensor = X) -> Preflight:
    with pytest.raises(UnsupportedModelError) as error:
        snnconv.convert(model.eval(), x)
    return error.value.preflight


def autocast(m: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return m.first(x).float()


#: What is refused: the model, its input, and words of the remedy that belong to this kind alone.
KINDS: dict[str, tuple[Callable[[], nn.Module], Tensor, str]] = {
    "statistic of the batch": (lambda: Around(lambda m, x: x / (x.std() + 1)), X, "name the axes, without axis 0"),
    "divisor of any size": (lambda: Around(lambda m, x: x / x.sum(1, keepdim=True)), X, "add a small number"),
    "rounding": (lambda: Around(lambda m, x: torch.round(x * 8) / 8), X, "spikes round by themselves"),
    "autocast": (lambda: Around(autocast), X, "leave torch.autocast"),
    "logarithm of softmax": (lambda: Around(lambda m, x: x.log_softmax(1)), X, "log_softmax converts at the end"),
    "nothing allowed": (
        lambda: Around(lambda m, x: x.masked_fill(torch.arange(5)[:, None] < 2, -1e9).softmax(-1)),
        SEQUENCES,
        "let every row have something",
    ),
    "order": (lambda: Around(lambda m, x: torch.sort(x).values), X, "sort or pick"),
    "index": (lambda: Around(lambda m, x: x + x.argmax(1, keepdim=True)), X, "pass the scores on"),
    "steps": (lambda: Around(lambda m, x: (x > 0).float()), X, "or between signals by a gate"),
    "random": (lambda: Around(lambda m, x: x + torch.rand_like(x)), X, "draw once"),
    "Fourier transform": (lambda: Around(lambda m, x: torch.fft.fft(x).real), X, "Fourier"),
    "sparse": (lambda: Around(lambda m, x: x.to_sparse().to_dense()), X, "keep signals dense"),
    "control flow": (lambda: Around(lambda m, x: x if x.sum() > 0 else -x), X, "compute both branches"),
    "number": (
        lambda: Around(lambda m, x: x[:, : int((m.calls.expand(5) >= 0).sum())].mean(1)),
        SEQUENCES,
        "take numbers of constants",
    ),
    "mask": (lambda: Around(lambda m, x: F.max_pool1d(x[:, m.calls.expand(5) >= 0], 1)), SEQUENCES, "mask.nonzero()"),
    "buffer": (lambda: Around(lambda m, x: x + m.calls.add_(1)), X, "if self.training"),
    "TorchScript": (lambda: torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.ReLU())), X, "give the Python module"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_remedy_of_its_own(kind: str) -> None:
    make, x, words = KINDS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        report = refused(make(), x)
    found = [problem for problem in report.problems if words in problem.remedy]
    assert found, report
    assert kind == "TorchScript" or all(problem.source.file == __file__ for problem in found)
    assert not [other for other, (_, _, theirs) in KINDS.items() if other != kind and theirs in found[0].remedy]


def test_only_operators_that_exist_have_a_remedy_of_their_own() -> None:
    known = {name.partition("::")[2].partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    unknown = remedy_for("no operator at all")
    assert "not in the vocabulary" in unknown.reason
    for op in ("floor", "fft_rfft", "linalg_inv", "fake_quantize_per_tensor_affine", "topk", "lstm", "embedding"):
        assert op in known and remedy_for(op) is not unknown
    assert "mylib" in remedy_for("mylib::scan").reason


def test_attention_whose_dropout_stays_active_is_refused() -> None:
    (problem,) = refused(
        Around(lambda m, x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)), SEQUENCES
    ).problems
    assert problem.op == "scaled_dot_product_attention" and "training=self.training" in problem.remedy


def test_random_numbers_of_a_fixed_size_are_no_constant() -> None:
    (problem,) = refused(Around(lambda m, x: x + torch.randn(8))).problems
    assert problem.op == "randn" and "random" in problem.reason and problem.source.file == __file__


class Blocks(nn.Module):
    """Layers, each followed by one function or the other, in turns."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(count)])
        self.functions = nn.ModuleList([nn.LogSoftmax(-1) if place % 2 else Apply(rounded) for place in range(count)])

    def forward(self, x: Tensor) -> Tensor:
        for layer, function in zip(self.layers, self.functions, strict=True):
            x = torch.relu(function(layer(x)))
        return self.layers[0](x)  # type: ignore[no-any-return]


def rounded(x: Tensor) -> Tensor:
    return torch.round(x)


def test_what_is_refused_again_and_again_is_one_entry_of_the_text() -> None:
    report = snnconv.preflight(Blocks(9), X)
    text = str(report)
    assert len(report.problems) == len(report.to_dict()["problems"]) == 9
    assert text.startswith("9 problems")
    assert "round, 5 times: " in text and "log_softmax, 4 times: " in text
    assert f"at {__file__}:" in text and "module functions.0, functions.2, functions.4 and 2 more, 5 times" in text
    assert len(text.splitlines()) == 7


def test_many_places_of_one_operator_are_counted() -> None:
    def rounding(m: Any, x: Tensor) -> Tensor:
        return x.round().round().round().round()

    model = nn.Sequential(*[Around(rounding) for _ in range(2)], nn.Linear(3, 3))
    model[1].first = nn.Linear(3, 8)
    text = str(snnconv.preflight(model, X))
    assert "round, 8 times: " in text and "8 times" in text


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_wrappers_are_taken_off(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = Around(lambda m, x: x)
    plain, wrapped = (snnconv.convert(m, X, coding=Rate(4)) for m in (model, wrap(model)))
    assert [p.name for p in plain.populations.values()] == [p.name for p in wrapped.populations.values()]
    assert torch.equal(plain(X), wrapped(X))
    with pytest.raises(snnconv.ConfigurationError, match="it has x"):
        snnconv.convert(wrap(model), X, constants={"adj": X})


def test_modules_that_spike_or_are_quantized_are_refused_by_name() -> None:
    spiking = snnconv.convert(Around(lambda m, x: x), X, coding=Rate(4))
    report = refused(nn.Sequential(nn.Linear(8, 8), spiking))
    assert [(p.op, p.source.module) for p in report.problems] == [("spiking module", "1")]
    assert "already spiking" in report.problems[0].reason
    observed = nn.Sequential(nn.Linear(8, 8), torch.ao.quantization.MinMaxObserver(), nn.ReLU())
    assert [p.op for p in refused(observed).problems] == ["fake quantization"]


WEIGHTS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "meta": (lambda: nn.Sequential(nn.Linear(8, 3, device="meta"), nn.ReLU()), r"0\.weight is on the meta device"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(3), nn.ReLU()), r"0\.weight has no size yet"),
    "complex": (lambda: nn.Sequential(nn.Linear(8, 3, dtype=torch.complex64)), "two real tensors"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_weights_without_values_are_refused(kind: str) -> None:
    make, words = WEIGHTS[kind]
    for function in (snnconv.preflight, snnconv.convert):
        with pytest.raises(ModelError, match=words):
            function(make(), X)


def test_whole_numbers_where_a_model_takes_real_ones_are_refused_and_the_other_way_round() -> None:
    tables = nn.Sequential(nn.Embedding(9, 8), nn.Flatten(), nn.Linear(16, 8), nn.ReLU())
    for function in (snnconv.preflight, snnconv.convert):
        with pytest.raises(InputError, match=r"x\.float\(\) for pixels"):
            function(Around(lambda m, x: x), torch.ones(4, 8, dtype=torch.int64))
        with pytest.raises(InputError, match=r"numbers of tokens|as those of tokens(.|\n)*x\.long\(\)"):
            function(tables, torch.ones(4, 2))


class Doubling(Around):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x.mul_(2.0))


def test_a_model_that_changes_its_own_input_is_refused_and_the_samples_are_left_alone() -> None:
    samples = X.clone()
    (problem,) = refused(Doubling(lambda m, x: x), samples).problems
    assert problem.op == "input update" and problem.source.file == __file__ and "x.clone()" in problem.remedy
    assert torch.equal(samples, X)


def test_a_table_that_is_cut_to_a_norm_at_every_call_is_refused_with_a_remedy() -> None:
    tables = nn.Sequential(nn.Embedding(9, 8, max_norm=1.0), nn.Flatten(), nn.Linear(16, 8), nn.ReLU())
    (problem,) = refused(tables, torch.ones(4, 2, dtype=torch.int64)).problems
    assert problem.op == "parameter update" and "renorm_" in problem.remedy


def remembering(m: Any, x: Tensor) -> Tensor:
    m.last_input, m.extra = x, x.shape[0]
    torch.rand(1)
    m.calls.add_(1)
    return x


def test_a_model_that_changes_itself_is_put_back() -> None:
    model = Around(remembering).eval()
    before, random = set(model.__dict__), torch.random.get_rng_state()
    assert not snnconv.preflight(model, X).ok
    assert set(model.__dict__) == before and float(model.calls) == 0.0
    assert torch.equal(torch.random.get_rng_state(), random)


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyError("no"), ZeroDivisionError("no"), AssertionError()])
def test_what_forward_raises_is_told(error: Exception) -> None:
    def raising(m: Any, x: Tensor) -> Tensor:
        raise error

    with pytest.raises(InputError, match="the model itself fails"):
        snnconv.preflight(Around(raising), X)


def test_a_model_may_be_written_in_a_package_but_not_in_pythons_own_library() -> None:
    assert is_users("/home/me/net.py") and is_users("/usr/lib/python3/dist-packages/models/net.py")
    assert not is_users(warnings.__file__) and not is_users("<string>")


OUTPUTS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "nothing": (lambda x: None, "returns no tensor"),
    "an empty tuple": (lambda x: (), "returns no tensor"),
    "infinite": (lambda x: torch.relu(x) / 0.0, "the model itself puts out NaN or infinite"),
    "an axis in front": (
        lambda x: torch.where(x > 0, x, torch.zeros(1, 1, 1)),
        r"the shape \[\d+, 8\], the model \[1, \d+, 8\]",
    ),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_an_output_that_no_network_can_have_is_told(kind: str) -> None:
    output, words = OUTPUTS[kind]
    with pytest.raises(ModelError, match=words):
        snnconv.preflight(Apply(output), X)


class ByName(nn.Module):
    def forward(self, *, x: Tensor) -> Tensor:
        return torch.relu(x)


class AnyName(nn.Module):
    def forward(self, x: Tensor, **others: Tensor) -> Tensor:
        return torch.relu(x) * others.get("gain", 1.0)


def test_arguments_by_name_alone_are_told_what_takes_them() -> None:
    with pytest.raises(InputError, match=r"\(x\), which 1 input does not fit(.|\n)*calls model\(name=x\)"):
        snnconv.preflight(ByName(), X)
    assert snnconv.preflight(AnyName(), X).ok
    with pytest.raises(ConfigurationError, match=r"has x, and takes the rest as \*\*others: .*: say gain"):
        snnconv.preflight(AnyName(), X, constants={"gain": torch.ones(())})
