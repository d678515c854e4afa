"""evaluate() measures what targets are: class indices, labels of 0 and 1, or values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike, Rate
from snnconv.errors import ConfigurationError, InputError

CODE = FewSpike(8, spikes=3)


def samples(count: int = 60) -> Tensor:
    return torch.rand(count, 6, generator=torch.Generator().manual_seed(1))


def converted(*last: nn.Module, code: Any = CODE) -> tuple[nn.Module, snnconv.SpikingNetwork]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), *last).eval().requires_grad_(False)
    return model, snnconv.convert(model, samples(200), coding=code)


class Complement(nn.Module):
    """An affine map without weights of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 - 0.5 * x


def r2(found: Tensor, targets: Tensor) -> float:
    return 1.0 - float((found - targets).square().sum() / (targets - targets.mean(0)).square().sum())


@pytest.mark.parametrize("columns", [1, 3])
def test_errors_of_values_are_those_of_the_output(columns: int) -> None:
    model, network = converted(nn.Linear(32, columns))
    x = samples()
    exact, found = model(x).double(), network(x).double()
    targets = exact + 0.1 * torch.randn(60, columns, generator=torch.Generator().manual_seed(2))
    result = snnconv.evaluate(network, [(x[:17], targets[:17]), (x[17:], targets[17:])], reference=model)
    assert result.accuracy is None and result.agreement is None and result.judged == 60 * columns
    assert result.deviation == pytest.approx(float((found - exact).norm() / exact.norm()), rel=1e-4)
    assert result.latency(1000.0) == network.timing.latency and result.latency(0.0) is None  # type: ignore[union-attr]
    for errors, output in ((result.errors, found), (result.reference_errors, exact)):
        assert errors is not None
        assert errors.relative == pytest.approx(float((output - targets).norm() / targets.norm()), rel=1e-4)
        assert errors.mse == pytest.approx(float((output - targets).square().mean()), rel=1e-4)
        assert errors.r2 == pytest.approx(r2(output, targets), rel=1e-4)
    assert f"R2 {result.errors.r2:.4f}" in str(result)  # type: ignore[union-attr]
    assert result.to_dict()["reference_errors"]["mse"] == result.reference_errors.mse  # type: ignore[union-attr]


def test_errors_of_values_are_known_after_every_step_of_a_stream() -> None:
    model, network = converted(nn.Linear(32, 1), nn.Flatten(0), code=Rate(8))
    x = samples()
    targets = model(x) + 0.1
    outputs = network.run(x, record=["outputs"]).outputs.double()
    result = snnconv.evaluate(network, (x, targets[:, None]), reference=model)  # a column is a number a sample
    wanted = [float((each - targets).norm() / targets.norm()) for each in outputs]
    assert result.error_by_step == pytest.approx(wanted)
    assert result.deviation_by_step == pytest.approx([float((e - model(x)).norm() / model(x).norm()) for e in outputs])


def test_parts_of_values_merge_to_the_whole() -> None:
    _, network = converted(nn.Linear(32, 2))
    x, targets = samples(), samples()[:, :2] + torch.tensor([5.0, -100.0])
    parts = [snnconv.evaluate(network, (x[cut], targets[cut])) for cut in (slice(0, 11), slice(11, 60))]
    merged, whole = parts[0].merge(parts[1]), snnconv.evaluate(network, (x, targets))
    assert vars(merged.errors) == pytest.approx(vars(whole.errors))
    assert vars(merged.reference_errors) == pytest.approx(vars(whole.reference_errors))
    assert merged.deviation == pytest.approx(whole.deviation)


def test_values_without_targets_are_measured_against_the_original() -> None:
    model, network = converted(nn.Linear(32, 1))
    result = snnconv.evaluate(network, samples())
    exact = model(samples())
    assert result.errors is None and result.deviation == pytest.approx(
        float((network(samples()) - exact).norm() / exact.norm()), rel=1e-4
    )


@pytest.mark.parametrize(
    ("last", "threshold"), [([], 0.0), ([nn.Sigmoid()], 0.5), ([nn.Sigmoid(), nn.Flatten(0)], 0.5), ([nn.Tanh()], 0.0)]
)
@pytest.mark.parametrize("kind", [torch.long, torch.float32, torch.bool])
def test_one_output_and_targets_of_0_and_1_are_judged_at_a_threshold(
    last: list[nn.Module], threshold: float, kind: torch.dtype
) -> None:
    scale = nn.Linear(32, 1)
    model, network = converted(scale, nn.BatchNorm1d(1).eval(), *last)
    x, targets = samples(), (torch.arange(60) % 3 == 0).to(kind)
    result = snnconv.evaluate(network, (x, targets), reference=model)
    for accuracy, output in ((result.reference_accuracy, model(x)), (result.accuracy, network(x))):
        right = (output.view(60) > threshold) == targets.bool()
        assert accuracy == pytest.approx(100.0 * float(right.double().mean()))


def test_every_label_of_several_is_a_decision_of_its_own() -> None:
    model, network = converted(nn.Linear(32, 4))
    x = samples()
    targets = (torch.arange(240).view(60, 4) % 3 == 0).long()
    targets[0, 0] = -100
    result = snnconv.evaluate(network, (x, targets), reference=model)
    right = ((model(x) > 0) == (targets == 1))[targets != -100]
    assert result.judged == 239
    assert result.reference_accuracy == pytest.approx(100.0 * float(right.double().mean()))


def test_classes_of_a_label_map_leave_the_border_out() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()
    x = torch.randn(20, 2, 6, 6)
    network = snnconv.convert(model, x, coding=CODE)
    targets = model(x).argmax(1)
    targets[:, :, 0] = 255
    with pytest.raises(InputError, match=r"between 0 and 255, .* classes 0 to 3 apart.*-100.*ignore_index=255"):
        snnconv.evaluate(network, (x, targets))
    result = snnconv.evaluate(network, (x, targets), ignore_index=255)
    assert (result.judged, result.reference_accuracy) == (20 * 6 * 5, 100.0)


@pytest.mark.parametrize(
    ("last", "targets", "message"),
    [
        ([nn.Linear(32, 4)], torch.full((60,), 4), "between 4 and 4, the network tells the classes 0 to 3 apart"),
        ([nn.Linear(32, 4)], torch.full((60,), -1), "ignore_index=-1"),
        ([nn.Linear(32, 4)], torch.rand(60), "must be class indices"),
        ([nn.Linear(32, 4)], torch.eye(4).repeat(15, 1), r"targets.argmax\(1\)"),
        ([nn.Linear(32, 1)], torch.arange(60), r"no labels; if they are values, say judge=snnconv.ValueJudge\(\)"),
        ([nn.Linear(32, 1), nn.Softplus()], torch.arange(60) % 2, r"made by softplus.*LabelJudge\(threshold\)"),
        ([nn.Linear(32, 1), nn.Hardtanh(0.0, 1.0)], torch.arange(60) % 2, r"LabelJudge\(threshold\)"),
        ([nn.Linear(32, 1), nn.Hardtanh(), Complement()], torch.arange(60) % 2, r"LabelJudge\(threshold\)"),
        ([nn.Linear(32, 1)], torch.full((60, 1), torch.nan), "NaN"),
        ([nn.Linear(32, 1)], torch.rand(60, 2), r"shape \[60, 2\]"),
    ],
)
def test_targets_that_do_not_fit_are_refused(last: list[nn.Module], targets: Tensor, message: str) -> None:
    _, network = converted(*last)
    with pytest.raises(InputError, match=message):
        snnconv.evaluate(network, (samples(), targets))


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (samples(), torch.zeros(61, dtype=torch.long)),
        (samples(300), torch.zeros(256, dtype=torch.long)),  # as many as are measured at once
        (samples(), torch.tensor(3)),
    ],
)
def test_every_sample_needs_a_target_and_every_target_a_sample(inputs: Tensor, targets: Tensor) -> None:
    _, network = converted(nn.Linear(32, 4))
    with pytest.raises(InputError, match=f"{len(inputs)} inputs and (one|{targets.numel()}) targets"):
        snnconv.evaluate(network, (inputs, targets))


def test_several_inputs_have_as_many_samples() -> None:
    class Difference(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.relu(x - y)

    network = snnconv.convert(Difference(), ((samples(), samples().flip(0)), None), coding=CODE)
    with pytest.raises(InputError, match="60, 70 inputs"):
        snnconv.evaluate(network, ((samples(), samples(70)), None))


class Decided(nn.Module):
    """Decisions in place of scores."""

    def __init__(self, decide: str) -> None:
        super().__init__()
        self.decide = decide

    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(1) if self.decide == "argmax" else x > 0


@pytest.mark.parametrize("decide", ["argmax", "comparison"])
def test_an_output_of_whole_numbers_holds_decisions(decide: str) -> None:
    model, network = converted(nn.Linear(32, 64), Decided(decide), code=FewSpike(2, spikes=1))
    x, found, exact = samples(), network(samples()), model(samples())
    targets = torch.arange(exact.numel()).view(exact.shape) % 2
    result = snnconv.evaluate(network, (x, targets), reference=model)
    assert not torch.equal(found, exact)
    assert result.accuracy == pytest.approx(100.0 * float((found == targets).double().mean()))
    assert result.reference_accuracy == pytest.approx(100.0 * float((exact == targets).double().mean()))
    assert snnconv.evaluate(network, x).agreement == pytest.approx(100.0 * float((found == exact).double().mean()))
    one_hot = [nn.functional.one_hot(each.long(), 64).double() for each in (found, exact)]
    expected = float((one_hot[0] - one_hot[1]).norm() / one_hot[1].norm())
    assert snnconv.verify(network, x).output == pytest.approx(expected)


def test_a_judge_says_what_targets_are() -> None:
    model, network = converted(nn.Linear(32, 1))
    counts = torch.arange(60)
    result = snnconv.evaluate(network, (samples(), counts), judge=snnconv.ValueJudge())
    assert result.errors is not None
    assert result.errors.mse == pytest.approx(float((network(samples())[:, 0] - counts).square().mean()))
    targets = counts % 2
    result = snnconv.evaluate(network, (samples(), targets), judge=snnconv.LabelJudge(0.2), reference=model)
    assert result.reference_accuracy == pytest.approx(
        100.0 * float(((model(samples())[:, 0] > 0.2) == (targets == 1)).double().mean())
    )


def test_a_judge_without_targets_cannot_measure() -> None:
    class Own:
        def deviation(self, exact: Any, found: Any) -> Tensor:
            return torch.zeros(1)

        def expected_loss(self, exact: Any, found: Any) -> float:
            return 0.0

        def decisions(self, exact: Any) -> int:
            return 0

    _, network = converted(nn.Linear(32, 4))
    with pytest.raises(ConfigurationError, match="Own does not compare with targets"):
        snnconv.evaluate(network, samples(), judge=Own())
    with pytest.raises(ConfigurationError, match=r"is the class LabelJudge: .* LabelJudge\(\)"):
        snnconv.evaluate(network, samples(), judge=snnconv.LabelJudge)  # type: ignore[arg-type]
