"""report(): everything that is known of a spiking network on one page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from snnconv.data.batches import IGNORED_TARGET, Inputs
from snnconv.data.shards import Shard
from snnconv.detection.data.images import as_images
from snnconv.detection.detector import Detector
from snnconv.errors import ConfigurationError
from snnconv.metrics.costs import Costs, measures
from snnconv.metrics.evaluation import evaluate
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.metrics.judge import TargetJudge
from snnconv.metrics.totals import totals_of
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.reporting.contents import Contents
from snnconv.reporting.detected import SCORE, ComparedPicture, compared
from snnconv.reporting.measuring import CloseLook, first_shard, look_closely
from snnconv.reporting.page import page
from snnconv.reporting.summary import sentences
from snnconv.simulators import simulator_for
from snnconv.simulators.recorders import SpikeCounter
from snnconv.storage.atomic import write_whole
from snnconv.surroundings import own_surroundings
from snnconv.sweeps.table import Sweep

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pictures that are shown, at most.
MOST_PICTURES = 6


class Exported(Protocol):
    """What an export gives back: figures as plain data."""

    def to_dict(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        ...


@dataclass(frozen=True)
class Report:
    """What is known of a network, as one HTML file. Prints as its three sentences.

    Attributes:
        summary: How well the network does, what that takes, and what hurts it most, a sentence each.
        html: The file: it opens without a network, and loads nothing.
    """

    summary: tuple[str, str, str]
    html: str = field(repr=False)

    @own_surroundings()
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file. Raises ``StorageError``."""
        write_whole(path, self.html.encode(errors="replace"))  # names of files may be no text

    def __str__(self) -> str:
        return "\n".join(self.summary)


@own_surroundings()
def report(
    network: SpikingNetwork,
    data: Any = None,
    *,
    reference: nn.Module | None = None,
    evaluation: Costs | None = None,
    title: str = "Spiking network",
    names: Sequence[str] = (),
    samples: int = 3,
    sweep: Sweep | None = None,
    export: Exported | Mapping[str, Any] | None = None,
    detector: Detector | None = None,
    pictures: Sequence[Image | str | os.PathLike[str]] = (),
    simulator: str = "auto",
    steps: int | None = None,
    seed: int = 0,
    judge: TargetJudge | None = None,
    ignore_index: int = IGNORED_TARGET,
    progress: ProgressCallback | None = None,
) -> Report:
    """Show a network on one page: accuracy, errors by population, spikes, energy, and what else is given.

    Data are measured as ``evaluate`` does; the first samples are looked at closely, population by population. What does
    not apply, such as attention in a network that has none, is left out.

    Args:
        network: The network to show.
        data: What ``evaluate`` takes. Without data the samples are those that ``convert`` held out, and without these
            nothing is measured.
        reference: The original model, as for ``evaluate``.
        evaluation: What ``evaluate``, or ``detection.evaluate``, gave, so that data are not measured again.
        title: The heading of the page.
        names: Those of the classes, in order.
        samples: Samples whose spikes are shown.
        sweep: Results of other codes, to be shown with their Pareto fronts.
        export: What an export gave back, such as ``lava.export``, or its ``to_dict()``.
        detector: The original detector, whose network ``network`` was converted from.
        pictures: Pictures, or their paths, in which both detectors are to find objects; the first six are opened and
            shown.
        simulator: As for ``SpikingNetwork.run``.
        steps: As for ``SpikingNetwork.run``.
        seed: Seed of a stochastic input.
        judge: As for ``evaluate``.
        ignore_index: As for ``evaluate``.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).

    Returns:
        The page.

    Raises:
        InputError: The data or the pictures do not fit the network.
        ConfigurationError: An option is out of range, the evaluation is of another network, or a detector and pictures
            do not come together.

    Example:
        >>> report = snnconv.report(snn, (images, labels), reference=model)
        >>> report.save("report.html")
    """
    _check(network, samples, detector, pictures, data)
    _check_evaluation(network, evaluation)
    costs, look = evaluation, None
    shown: tuple[ComparedPicture, ...] = ()
    if detector is not None:
        pictures = pictures[:MOST_PICTURES] if isinstance(pictures, Sequence) else pictures
        images = as_images(pictures)
        inputs, shown, measured = _detected(network, detector, images, pictures, simulator, steps, seed)
        costs = measured if costs is None else costs
        look = _look(network, inputs, None, simulator, steps, seed, samples, False)
        names = names or detector.names
    elif data is not None:
        shard, data = first_shard(data, network.batch_axis)
        if costs is None:
            costs = evaluate(
                network,
                data,
                reference=reference,
                simulator=simulator,
                steps=steps,
                seed=seed,
                judge=judge,
                ignore_index=ignore_index,
                progress=progress,
            )
        decides = _decides(network, costs, shard)
        inputs = network.check(shard.inputs, "data")
        targets = shard.targets if decides else None
        if targets is not None:
            targets = targets.masked_fill(targets == ignore_index, IGNORED_TARGET)
        look = _look(network, inputs, targets, simulator, steps, seed, samples, decides)
    elif network.held_out:
        like = network.like
        held_out = network.held_out[0]
        inputs = tuple(t.to(like.device, like.dtype if t.is_floating_point() else t.dtype) for t in held_out)
        look = _look(network, inputs, None, simulator, steps, seed, samples, False)
    figures = export if export is None or isinstance(export, Mapping) else export.to_dict()
    contents = Contents(title, network, costs, look, shown, sweep, figures, tuple(names))
    return Report(sentences(contents), page(contents))


def _check(network: Any, samples: int, detector: Any, pictures: Sequence[Any], data: Any) -> None:
    if not isinstance(network, SpikingNetwork):
        raise ConfigurationError(
            f"network is a {type(network).__name__}; give what snnconv.convert or snnconv.load gave"
        )
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 0:
        raise ConfigurationError(f"samples must be an integer of at least 0, got {samples!r}")
    if detector is not None and not isinstance(detector, Detector):
        raise ConfigurationError(f"detector is a {type(detector).__name__}; give the original Detector")
    if (detector is None) != (not pictures):
        raise ConfigurationError("a detector and pictures go together: give both, or neither")
    if detector is not None and data is not None:
        raise ConfigurationError(
            "a detector is shown on pictures: leave data out, and measure its precision with detection.evaluate, for "
            "evaluation="
        )


def _check_evaluation(network: SpikingNetwork, evaluation: Costs | None) -> None:
    if evaluation is None:
        return
    own = {each.name: each.neurons for each in network.populations.values()}
    if list(evaluation.spikes) != list(own) or evaluation.neurons != sum(own.values()):
        raise ConfigurationError(
            f"evaluation is of another network, with {len(evaluation.spikes):,} populations of {evaluation.neurons:,} "
            f"neurons; this one has {len(own):,} of {sum(own.values()):,}: give what evaluate gave for it"
        )


def _look(
    network: SpikingNetwork,
    inputs: Inputs,
    targets: Tensor | None,
    simulator: str,
    steps: int | None,
    seed: int,
    samples: int,
    decides: bool,
) -> CloseLook:
    options: dict[str, Any] = {"simulator": simulator, "steps": steps, "seed": seed, "shown": samples}
    return look_closely(network, inputs, targets, **options, decides=decides)


def _decides(network: SpikingNetwork, costs: Costs, shard: Shard) -> bool:
    """Whether samples were judged by the class that they are decided to be."""
    if not isinstance(costs, Evaluation) or costs.deviation is not None or costs.errors is not None:
        return False
    if network.batch_axis is None:
        return False
    targets = shard.targets
    return targets is None or (targets.dim() == 1 and not targets.is_floating_point() and len(targets) == shard.samples)


def _detected(
    network: SpikingNetwork,
    detector: Detector,
    images: Sequence[Image],
    pictures: Sequence[Any],
    simulator: str,
    steps: int | None,
    seed: int,
) -> tuple[Inputs, tuple[ComparedPicture, ...], Costs]:
    """The input that pictures are, what both detectors find in them, and what that costs."""
    spiking = detector.with_network(network)
    inputs = network.check(spiking.inputs(images), "pictures")
    counter = SpikeCounter(network, by_step=network.timing is None)
    chosen = simulator_for(network, simulator, steps=steps, seed=seed)
    output, taken = chosen.run(inputs, [counter])
    costs = Costs(**measures(totals_of(network, counter, chosen.steps, int(taken.sum()))))
    sizes = [(image.height, image.width) for image in images]
    found = spiking.decode(output, sizes, SCORE)
    wanted = detector.detect(images, score_threshold=SCORE)
    labels = [_label(picture, position) for position, picture in enumerate(pictures)]
    shown = zip(labels, images, wanted, found, strict=True)
    return inputs, tuple(compared(*each, detector.names) for each in shown), costs


def _label(picture: Any, position: int) -> str:
    return Path(picture).name if isinstance(picture, (str, os.PathLike)) else f"picture {position + 1}"
