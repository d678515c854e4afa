"""What everything that takes long tells of its progress, and how it is cancelled: one contract for all."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import snnconv
from coding import FewSpike, OneSpike, Rate
from hw_export import lava
from snnconv import ModelError, Progress, SpikingNetwork, Sweep, learning
from snnconv.data import load_digits, train_digits_cnn
from snnconv.detection import DarknetNetwork, Detector, load_darknet, train_detector
from snnconv.detection import evaluate as evaluate_detector
from snnconv.detection.data.images import Preprocessing
from snnconv.detection.shapes import draw_shapes
from snnconv.progress import ProgressCallback
from tests.snnconv.detection.test_training import MICRO
from tests.snnconv.learning.training_runs import small_network, small_samples, trained
from tests.snnconv.tuning.tuned_networks import converted, images
from tests.support.networks import make

CODINGS = {"rate 4": Rate(4), "few-spike 4": FewSpike(4, base=1.9)}


def state(network: nn.Module) -> dict[str, Any]:
    """All that a network computes with, comparable."""
    own = {name: tensor.tolist() for name, tensor in network.state_dict().items()}
    if isinstance(network, SpikingNetwork):
        own |= {name: tensor.tolist() for name, tensor in network.constants.items()}
        for node, each in network.populations.items():
            own[node] = (each.code, each.neuron, each.scale.tolist(), each.shift.tolist())
    return own


def split(x: Tensor) -> tuple[Tensor, ...]:
    return torch.split(x, 40)


class DeepCase:
    """A model, samples with targets and its spiking networks."""

    def __init__(self) -> None:
        self.model, self.x = make("deep", samples=200)
        with torch.no_grad():
            self.targets = self.model(self.x).argmax(1)
        self.network = snnconv.convert(self.model, self.x, coding=FewSpike(4, base=1.9))
        self.parts = list(zip(split(self.x), split(self.targets), strict=True))


@pytest.fixture(scope="module")
def deep() -> DeepCase:
    return DeepCase()


def convert(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return state(snnconv.convert(deep.model, list(split(deep.x)), coding=OneSpike(4), progress=progress))


def search(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    model, x = make("perceptron", samples=30)
    return state(snnconv.convert(model, x, coding="auto", max_loss=50.0, progress=progress))


def evaluate(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return snnconv.evaluate(deep.network, deep.parts, reference=deep.model, progress=progress).to_dict()


def evaluate_a_tensor(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return snnconv.evaluate(deep.network, deep.x.repeat(3, 1), progress=progress).to_dict()


def verify(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return snnconv.verify(deep.network, progress=progress).to_dict()


def verify_data(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return snnconv.verify(deep.network, deep.parts, progress=progress).to_dict()


def spike_statistics(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return snnconv.spike_statistics(deep.network, deep.parts, progress=progress).to_dict()


def sweep(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    file, data = folder / "sweep.json", deep.parts[:2]
    if file.exists():
        Sweep.load(file)  # a file that an interruption left behind is whole
    return snnconv.sweep(deep.model, deep.x[:50], data, CODINGS, path=file, progress=progress).to_dict()


def tune(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    before = state(converted())
    try:
        options: dict[str, Any] = {"batch": 10, "epochs": 3, "checkpoint": folder / "run", "progress": progress}
        return state(snnconv.tune(converted(), images(30, 1), learning_rate=1e-3, **options))
    finally:
        assert state(converted()) == before


def train(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    network, log = trained(small_samples(), checkpoint=folder / "run", progress=progress)
    return state(network), log.epochs


def train_with_patience(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    options: dict[str, Any] = {"validation": small_samples(9, seed=1), "patience": 1, "epochs": 8}
    network, log = trained(small_samples(), checkpoint=folder / "run", progress=progress, **options)
    assert len(log.epochs) < 8
    return state(network), log.epochs


def measure(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return learning.measure(small_network(), small_samples(), batch=5, progress=progress)


def micro(folder: Path) -> DarknetNetwork:
    path = folder / "micro.cfg"
    path.write_text(MICRO)
    return load_darknet(path)


def train_a_detector(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    network = micro(folder)
    file = folder / "run"
    log = train_detector(network, draw_shapes(12, seed=0), epochs=2, batch=4, checkpoint=file, progress=progress)
    return state(network), log.losses, network.seen


@functools.cache
def spiking_detector() -> tuple[Detector, Any]:
    with tempfile.TemporaryDirectory() as folder:
        network = micro(Path(folder)).eval()
    images, truths = draw_shapes(40, seed=0)
    x = nn.functional.interpolate(images, (64, 64))
    detector = Detector(network, network.heads, Preprocessing((64, 64)), ("circle", "square", "triangle"))
    return detector.with_network(snnconv.convert(network, x[:5], coding=FewSpike(4))), (x, truths)


def evaluate_a_detector(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    detector, data = spiking_detector()
    return evaluate_detector(detector, data, progress=progress).to_json()


def export(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return lava.export(deep.network, folder / "bundle", progress=progress).to_dict()


def train_digits(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return state(train_digits_cnn(load_digits(), epochs=2, progress=progress))


def preflight(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    return snnconv.preflight(deep.model, deep.x, progress=progress).to_dict()


def preflight_of_what_is_refused(deep: DeepCase, folder: Path, progress: ProgressCallback | None) -> Any:
    report = snnconv.preflight(nn.Sequential(nn.LogSoftmax(1), nn.Linear(3, 2)), torch.rand(2, 3), progress=progress)
    assert not report.ok
    return report.ok


Case = Callable[[DeepCase, Path, ProgressCallback | None], Any]
CASES: tuple[Case, ...] = (
    convert,
    search,
    evaluate,
    evaluate_a_tensor,
    verify,
    verify_data,
    spike_statistics,
    sweep,
    tune,
    train,
    train_with_patience,
    measure,
    train_a_detector,
    evaluate_a_detector,
    export,
    train_digits,
    preflight,
    preflight_of_what_is_refused,
)
#: Those that cost so little that they can be run often; a search takes as long as all of them.
QUICK = tuple(case for case in CASES if case is not search)
Run = Callable[[Case], tuple[Any, list[Progress]]]


@pytest.fixture(scope="module")
def whole(deep: DeepCase, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The result of a case that nothing cancels, and what it tells."""

    @functools.cache
    def run(case: Case) -> tuple[Any, list[Progress]]:
        told: list[Progress] = []
        return case(deep, tmp_path_factory.mktemp("whole"), told.append), told

    return run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_every_task_counts_from_0_up_to_its_total(case: Case, whole: Run) -> None:
    _, told = whole(case)
    assert told
    for what in {each.what for each in told}:
        steps = [each for each in told if each.what == what]
        done = [each.done for each in steps]
        assert done == sorted(done) and done[0] == 0
        assert steps[-1].done == steps[-1].total and steps[-1].done > 0
        assert all(each.total == steps[0].total for each in steps[:-1])


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.__name__)
def test_a_callback_changes_no_result(case: Case, deep: DeepCase, whole: Run, tmp_path: Path) -> None:
    assert case(deep, tmp_path, None) == whole(case)[0]


@pytest.mark.parametrize(
    ("case", "share"),
    [(case, share) for case in QUICK for share in (0.3, 0.8)] + [(search, 0.5)],
    ids=lambda value: value if isinstance(value, float) else value.__name__,
)
def test_an_exception_cancels_comes_through_unchanged_and_costs_only_the_work_it_falls_into(
    case: Case, share: float, deep: DeepCase, whole: Run, tmp_path: Path
) -> None:
    """An exception that functions raise and handle themselves; what was given is unchanged, and files are whole."""
    result, told = whole(case)
    before = state(deep.network), state(deep.model)
    error = ModelError("cancelled")
    heard: list[Progress] = []

    def cancelling(found: Progress) -> None:
        if len(heard) == int(share * len(told)):
            raise error
        heard.append(found)

    with pytest.raises(ModelError) as raised:
        case(deep, tmp_path, cancelling)
    assert raised.value is error and heard == told[: len(heard)]
    assert (state(deep.network), state(deep.model)) == before
    assert not list(tmp_path.glob(".*")), "no half-written file is left"
    if case is not search:
        assert case(deep, tmp_path, None) == result


@pytest.mark.parametrize(
    ("data", "samples"),
    [
        (lambda x: x, 200),
        (lambda x: [*split(x)], 200),
        (lambda x: DataLoader(TensorDataset(x), batch_size=64), 200),
        (lambda x: DataLoader(TensorDataset(x), batch_size=64, drop_last=True), 192),
    ],
)
def test_data_are_counted_by_samples_however_they_come(data: Any, samples: int, deep: DeepCase) -> None:
    told: list[Progress] = []
    snnconv.evaluate(deep.network, data(deep.x), progress=told.append)
    assert told[0] == Progress("evaluating", 0, samples) and told[-1] == Progress("evaluating", samples, samples)


@pytest.mark.parametrize("stops", [False, True])
def test_samples_that_run_together_are_counted_by_the_steps_that_they_have_taken(deep: DeepCase, stops: bool) -> None:
    """Of 200 samples in 5 steps 40 a step; those that stop early, here all at the first, come at the end."""
    network = snnconv.convert(deep.model, deep.x, coding=Rate(5))
    told: list[Progress] = []
    stop = (lambda output, steps: torch.ones(len(output), dtype=torch.bool)) if stops else None
    snnconv.evaluate(network, deep.x, stop=stop, progress=told.append)
    assert [each.done for each in told] == ([0, 40, 200] if stops else [0, 40, 80, 120, 160, 200])


class Stream(IterableDataset[Any]):
    """Samples without a length."""

    def __init__(self, *columns: Tensor) -> None:
        self.columns = columns

    def __iter__(self) -> Iterator[Any]:
        rows = zip(*self.columns, strict=True)
        return (row if len(row) > 1 else row[0] for row in rows)


def test_data_loaders_of_unknown_length_are_read_to_their_end(deep: DeepCase) -> None:
    """As if they were lists of batches; the total is told when it is known."""
    alone, labelled = Stream(deep.x), Stream(deep.x, deep.targets)
    uses: dict[str, tuple[Any, Callable[..., Any]]] = {
        "reading calibration samples": (
            alone,
            lambda data, **options: state(snnconv.convert(deep.model, data, coding=OneSpike(4), **options)),
        ),
        "evaluating": (labelled, lambda data, **options: snnconv.evaluate(deep.network, data, **options).to_dict()),
        "verifying": (labelled, lambda data, **options: snnconv.verify(deep.network, data, **options).to_dict()),
        "counting spikes": (
            labelled,
            lambda data, **options: snnconv.spike_statistics(deep.network, data, **options).to_dict(),
        ),
    }
    for what, (stream, use) in uses.items():
        told: list[Progress] = []
        loader: Any = DataLoader(stream, batch_size=64)
        assert use(loader, progress=told.append) == use(list(loader))
        found = [each for each in told if each.what == what]
        assert found == [Progress(what, done, None) for done in range(5)] + [Progress(what, 4, 4)]
