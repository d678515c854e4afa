"""tune(): weights, scales, shifts and codes of a converted network, trained through its own spikes."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from snnconv.data.batches import IGNORED_TARGET, Inputs
from snnconv.errors import ConfigurationError, ModelError
from snnconv.network import SpikingNetwork
from snnconv.progress import ProgressCallback
from snnconv.ranks import ALONE, Ranks
from snnconv.simulators import CrossbarNoise
from snnconv.spiking.logs import TuningLog
from snnconv.storage.digests import graph_digest, option_text
from snnconv.surroundings import own_surroundings
from snnconv.training.checkpoint import Checkpoint, Records, numbers_of
from snnconv.training.learning_rate import WarmUpCosine
from snnconv.training.loop import Epoch, TrainingLoop
from snnconv.training.options import check_integers
from snnconv.training.parts import BatchParts, check_parts
from snnconv.training.seeding import derived_seed, seeded
from snnconv.tuning.differentiable_network import check_tunable, measure_densities, tuned_output
from snnconv.tuning.loss import TARGETS, Targets, original_of, response_sizes, tuning_loss
from snnconv.tuning.samples import TuningSamples
from snnconv.tuning.surrogate_gradients import RULES, Rule
from snnconv.tuning.trained_tensors import TrainedTensors

_logger = logging.getLogger(__name__)
#: Longest gradient of a step; longer ones are shortened.
_LONGEST_GRADIENT = 1.0


@own_surroundings()
@torch.enable_grad()
def tune(
    network: SpikingNetwork,
    data: Any,
    *,
    rule: Rule = "activation",
    targets: Targets = "decisions",
    epochs: int = 3,
    batch: int = 50,
    learning_rate: float = 1e-4,
    population_weight: float = 1.0,
    augmentation: Callable[[Tensor], Tensor] | None = None,
    held_out: float = 0.1,
    patience: int | None = None,
    ignore_index: int = IGNORED_TARGET,
    noise: CrossbarNoise | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    parts: int = 1,
    ranks: Ranks = ALONE,
    progress: ProgressCallback | None = None,
) -> SpikingNetwork:
    """Train a converted network through its own spikes to come nearer to what it was made from.

    Forward every population fires its window, so that the loss is that of the spiking network; backward ``rule`` says
    what a window's derivative is. The parameters of the original are trained (with batch norms folded into them),
    scales and shifts, and of codes what was left to conversion: bases, tau and delay, levels. What was given as a
    number stays, and so do buffers and constants. AdamW without decay; the learning rate rises over the first twentieth
    of all steps and falls along a cosine.

    Args:
        network: The converted network; it is not changed.
        data: Samples; only "labels" needs targets. With a checkpoint they must come in the same order each time: no
            shuffling DataLoader.
        rule: "activation" creates and removes spikes, "timing" moves those that there are, "antlr" takes each where it
            has something to say (see ``snnconv.tuning.surrogate_gradients``).
        targets: What the output is compared with: "decisions" of the original, softened class scores; its "outputs", by
            relative squared error; "labels", the class indices in ``data``; or "populations",
            nothing but what each population would say in the original, layer by layer with no gradient from one to the
            next. The original is the graph of ``network`` with activations instead of neurons.
        epochs: How often all samples are seen.
        batch: Samples of one step.
        learning_rate: The highest learning rate.
        population_weight: Weight of the error of the populations beside that of the output.
        augmentation: Function of a batch of the first input that draws from torch's own generator, such as
            ``snnconv.tuning.ShiftAndFlip``.
        held_out: Share of the samples that is only measured. The network of the epoch with the least loss there is
            returned, at worst the given one.
        patience: Epochs without a smaller loss after which tuning ends.
        ignore_index: Label that leaves its sample, or position, out.
        noise: Noise of crossbars (``snnconv.CrossbarNoise``) that is drawn anew in every step; held-out samples always
            get the same.
        checkpoint: File to which the run is written after every epoch. If it exists, tuning goes on from there and
            comes to the same network, bit for bit on a CPU.
        seed: Seed of the order of the samples and of all draws.
        parts: Parts of a batch, each with a loss and draws of its own; a step takes the mean of their gradients.
        ranks: Processes that share the parts (``snnconv.ranks.ranks``), at most as many. The result depends on
            ``parts``, and on a CPU not on their number, to the bit.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).

    Returns:
        A network with the same codes, whose ``tuning_log`` tells the losses. Its own ``reference`` is the tuned graph
        with activations; ``evaluate`` it with ``reference=model`` to compare it with the original.

    Raises:
        ConfigurationError: An option is out of range, or the network has no closed form.
        InputError: The data do not suit the network or the targets.
        StorageError: The checkpoint cannot be used or written.
        ModelError: The loss is not finite; the text says in which epoch and batch, counted from 1.
        RankError: A rank is gone, has failed, or has another network, other data or settings.

    Example:
        >>> tuned = snnconv.tune(snn, images, epochs=1, checkpoint="tuning.checkpoint")
        >>> print(tuned.tuning_log)
        >>> print(snnconv.evaluate(tuned, (images, labels), reference=model))
    """
    _check_options(rule, targets, epochs, batch, learning_rate, population_weight, held_out, patience, seed)
    check_parts(parts, batch, ranks)
    check_tunable(network, rule, targets)
    samples = TuningSamples(data, network, held_out, seed, labelled=targets == "labels", ignore_index=ignore_index)
    run = {}
    if checkpoint is not None or ranks.size > 1:
        run = {
            "network": f"{graph_digest(network.complete_graph())} {_populations_text(network)}",
            "data": samples.digest(),
            "setting": f"rule {rule}, targets {targets}, epochs {epochs}, batch {batch}, learning rate "
            f"{learning_rate!r}, population weight {population_weight!r}, "
            f"{option_text('augmentation', augmentation, 'checkpoint')}, held out {held_out!r}, patience {patience}, "
            f"seed {seed}"
            + ("" if noise is None else f", noise {noise!r}")
            + (f", parts {parts}" if parts > 1 else ""),
        }
        ranks.agree("data or settings", run)
    tuned = network.with_()
    trained = TrainedTensors(tuned)
    optimizer = AdamW(trained.tensors, lr=learning_rate, weight_decay=0.0)

    def loss_of(inputs: Inputs, labels: Tensor | None, drawn: int) -> Tensor:
        with torch.no_grad():
            original = original_of(network, inputs)
        payloads, apart = trained.payloads, targets == "populations"
        found = tuned_output(tuned, inputs, rule, payloads=payloads, apart=apart, noise=noise, seed=drawn)
        return tuning_loss(found, original, labels, targets, population_weight, sizes)

    measured = torch.split(samples.measured, batch)
    with torch.no_grad():
        sizes = response_sizes(network, (samples.batch(positions)[0] for positions in measured))

    def measured_loss(item: tuple[int, Tensor]) -> float:
        number, positions = item
        with torch.no_grad():
            return float(loss_of(*samples.batch(positions), number)) * len(positions)

    def held_out_loss() -> float:
        found = ranks.mapped("the loss of held-out samples", measured_loss, [*enumerate(measured)])
        return sum(found) / len(samples.measured)

    initial = held_out_loss()
    if not math.isfinite(initial):
        raise ModelError("the loss of the network before tuning is not finite; look for weights that are not finite")
    with Checkpoint(checkpoint, run, ranks) as file:
        loop = TrainingLoop(
            trained,
            optimizer,
            WarmUpCosine(learning_rate),
            file,
            _epochs,
            samples=len(samples.trained),
            batch=batch,
            epochs=epochs,
            score=lambda record: record.held_out,
            initial=initial,
            patience=patience,
        )
        trained.settle()
        gradients = BatchParts(parts, ranks, trained.tensors)
        course = _TuningCourse(
            samples, trained, optimizer, learning_rate, loss_of, gradients, held_out_loss, augmentation, file, seed
        )
        loop.run(course, progress)
    if loop.best_epoch == 0:
        _logger.warning(
            "no epoch reduced the loss on held-out samples (%.4g before tuning, %.4g at best): the network "
            "is returned unchanged; try another learning_rate than %g, or more samples",
            initial,
            min(record.held_out for record in loop.records),
            learning_rate,
        )
    trained.recall(loop.best)
    trained.release()
    with torch.no_grad():
        measure_densities(tuned, (samples.batch(positions)[0] for positions in measured))
    tuned.tuned = tuned.tuned or loop.best_epoch > 0
    tuned.tuning_log = TuningLog(
        losses=tuple(record.loss for record in loop.records),
        held_out_losses=tuple(record.held_out for record in loop.records),
        initial_loss=initial,
        best_epoch=loop.best_epoch,
        resumed=loop.resumed,
    )
    return tuned


@dataclass(frozen=True)
class _Epoch(Epoch):
    held_out: float


def _epochs(records: Records, file: Checkpoint) -> list[_Epoch]:
    return [_Epoch(*numbers) for numbers in numbers_of(records, file, "loss", "held_out")]


class _TuningCourse:
    """The steps of tuning."""

    def __init__(
        self,
        samples: TuningSamples,
        trained: TrainedTensors,
        optimizer: AdamW,
        learning_rate: float,
        loss: Callable[[Inputs, Tensor | None, int], Tensor],
        gradients: BatchParts,
        held_out_loss: Callable[[], float],
        augmentation: Callable[[Tensor], Tensor] | None,
        file: Checkpoint,
        seed: int,
    ) -> None:
        self.samples, self.trained, self.optimizer, self.loss = samples, trained, optimizer, loss
        self.held_out_loss, self.augmentation, self.file, self.seed = held_out_loss, augmentation, file, seed
        self.learning_rate, self.gradients = learning_rate, gradients

    def order(self, epoch: int) -> Tensor:
        return self.samples.order(epoch)

    def step(self, epoch: int, number: int, positions: Tensor) -> float:
        given: list[Inputs] = []

        def loss_of(part: Tensor, place: int) -> Tensor:
            inputs, labels = self.samples.batch(part)
            if self.augmentation is not None:
                inputs = (_changed(self.augmentation, inputs[0], self.seed, epoch, number, place), *inputs[1:])
            given.append(inputs)
            return self.loss(inputs, labels, derived_seed(self.seed, epoch, number, place) % 2**63)

        loss = self.gradients.backward(positions, loss_of)
        steepness = nn.utils.clip_grad_norm_(self.trained.tensors, _LONGEST_GRADIENT)
        if not (math.isfinite(loss) and math.isfinite(float(steepness))):
            failed = {f"inputs {place}": torch.cat(tensors) for place, tensors in enumerate(zip(*given, strict=True))}
            raise ModelError(
                f"loss or gradient is not finite in epoch {epoch + 1}, batch {number + 1}; {self._remedy()}, or look "
                f"at the samples {positions.tolist()}; {self.file.kept_failure(failed | self.trained.state_dict())}"
            )
        self.optimizer.step()
        self.trained.settle()
        return loss

    def record(self, epoch: int, loss: float) -> _Epoch:
        held_out = self.held_out_loss()
        if not math.isfinite(held_out):
            raise ModelError(f"the held-out loss is not finite after epoch {epoch + 1}; {self._remedy()}")
        return _Epoch(loss, held_out)

    def _remedy(self) -> str:
        return f"lower learning_rate, which is {self.learning_rate}"


def _check_options(
    rule: str,
    targets: str,
    epochs: int,
    batch: int,
    learning_rate: float,
    population_weight: float,
    held_out: float,
    patience: int | None,
    seed: int,
) -> None:
    if rule not in RULES:
        raise ConfigurationError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")
    if targets not in TARGETS:
        raise ConfigurationError(f"targets must be one of {', '.join(TARGETS)}, got {targets!r}")
    check_integers(1, epochs=epochs, batch=batch, patience=1 if patience is None else patience)
    check_integers(0, seed=seed)
    if not all(isinstance(each, (int, float)) for each in (learning_rate, held_out, population_weight)):
        raise ConfigurationError(
            f"learning_rate {learning_rate!r}, held_out {held_out!r}, population_weight {population_weight!r}: all "
            "must be numbers"
        )
    if not (math.isfinite(learning_rate) and learning_rate > 0.0 and 0.0 < held_out < 1.0):
        raise ConfigurationError(
            f"learning_rate {learning_rate}, held_out {held_out}: the first must be positive, the second lie between "
            "0 and 1"
        )
    if not (math.isfinite(population_weight) and population_weight >= 0.0):
        raise ConfigurationError(f"population_weight must be 0 or more, got {population_weight}")


def _populations_text(network: SpikingNetwork) -> str:
    digits = [
        f"{population.name} {population.code} {population.scale.tolist()} {population.shift.tolist()}"
        for population in network.populations.values()
    ]
    return f"{network.plan} {'; '.join(digits)}"


def _changed(augmentation: Callable[[Tensor], Tensor], values: Tensor, seed: int, *step: int) -> Tensor:
    """``values`` changed by draws that depend on the step and the part alone; those of the caller go on as before."""
    with seeded(values.device, seed, *step):
        changed = augmentation(values)
    if not isinstance(changed, Tensor):
        raise ConfigurationError(f"augmentation made a {type(changed).__name__} of a tensor; it must return a tensor")
    if changed.shape != values.shape or changed.dtype != values.dtype:
        raise ConfigurationError(
            f"augmentation made {changed.dtype} {list(changed.shape)} of {values.dtype} {list(values.shape)}; it must "
            "keep both"
        )
    return changed
