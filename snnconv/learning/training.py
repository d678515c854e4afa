"""Training of layered networks by the gradients of their spikes; interrupted runs go on where they stopped."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from snnconv.errors import ConfigurationError, ModelError
from snnconv.learning.checks import (
    check_options,
    check_samples,
    check_trainable,
    check_validation,
    limit_of,
    made_optimizer,
    made_schedule,
)
from snnconv.learning.history import EpochRecord, LearningLog, records_from
from snnconv.learning.losses import LatencyLoss, SpikeLoss
from snnconv.learning.network import LayeredNetwork
from snnconv.learning.run_identity import run_text
from snnconv.learning.samples import SpikeSamples
from snnconv.learning.spike_metrics import Change, Measures, Tally, change, clamped_share, merged
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.ranks import ALONE, Ranks
from snnconv.surroundings import own_surroundings
from snnconv.training.checkpoint import Checkpoint
from snnconv.training.learning_rate import LearningRates, Scheduled
from snnconv.training.loop import TrainingLoop
from snnconv.training.options import check_integers
from snnconv.training.parts import BatchParts, check_parts
from snnconv.training.seeding import generator_of, order_of_epoch

_logger = logging.getLogger(__name__)
_LOSS = LatencyLoss()
#: Stand for an epoch where draws belong to none: those of measuring, which are the same every time.
_MEASURING = 2**31


def _adam(parameters: Iterable[Parameter]) -> Optimizer:
    return Adam(parameters, lr=1e-3)


@own_surroundings()
@torch.enable_grad()
def train(
    network: LayeredNetwork,
    samples: SpikeSamples,
    *,
    epochs: int,
    batch: int = 16,
    loss: SpikeLoss = _LOSS,
    optimizer: Callable[[Iterable[Parameter]], Optimizer] = _adam,
    scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    clip: float | None = 1.0,
    validation: SpikeSamples | None = None,
    patience: int | None = None,
    probe: int = 32,
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    parts: int = 1,
    ranks: Ranks = ALONE,
    progress: ProgressCallback | None = None,
) -> LearningLog:
    """Change the weights of ``network``, on its device, so that its outputs fire as ``loss`` asks for ``samples``.

    Every epoch sees all samples once, in batches of about ``batch``; elements of gradients are clipped to
    [-``clip``, ``clip``], not at all with ``None``. ``optimizer`` makes a torch optimiser (Adam with 1e-3 by default),
    and ``scheduler`` a schedule of it that advances once an epoch. With ``validation`` the network ends with the
    weights of the epoch that decides best by first spikes there, the first of several; ``patience`` epochs without a
    better one end training. Records compare the trains of the first ``probe`` samples before and after an epoch.
    ``progress`` is called before every step (see ``Progress``); what it raises ends training, and the network keeps
    the weights that it has come to.

    After every epoch the run is written to the file ``checkpoint``. If it exists, training goes on from there, with
    the weights in the file, and comes to the same ones, bit for bit on a CPU, as without an interruption. Everything
    but the weights at the start and ``epochs`` must be as it was; more ``epochs`` than before go on behind the last.

    A batch comes in ``parts``, each with a loss and draws of its own; a step takes the mean of their gradients.
    ``ranks`` are processes that share the parts (``snnconv.ranks.ranks``), at most as many; weights and records depend
    on ``parts`` and, on a CPU, not on their number.

    A batch without an output spike is counted in the records. Raises ``ConfigurationError`` for options out of range,
    ``InputError`` for samples that do not fit the network, ``StorageError`` for a checkpoint that cannot be used or
    written, ``ModelError`` where loss, potentials or gradients are not finite (the batch is kept in the file
    ``checkpoint`` + ".failed"), and where no batch of an epoch has a gradient, though the loss is not 0, ``RankError``
    for a rank that is gone, has failed, or has another network, other data or settings.
    """
    check_options(epochs, batch, probe, seed, clip, patience, validation)
    check_parts(parts, batch, ranks)
    check_samples(samples, network, "samples")
    if validation is not None:
        check_validation(validation, network)
    check_trainable(network)
    steps = made_optimizer(optimizer, network)
    plan = made_schedule(scheduler, steps)
    limit = limit_of(clip)
    run = {}
    if checkpoint is not None or ranks.size > 1:
        numbers = {"batch": batch, "patience": patience, "probe": probe, "seed": seed}
        numbers |= {"parts": parts} if parts > 1 else {}
        run = run_text(network, samples, validation, loss, steps, plan, limit, **numbers)
        ranks.agree("data or settings", run)
    with Checkpoint(checkpoint, run, ranks) as file:
        loop = TrainingLoop(
            network,
            steps,
            LearningRates() if plan is None else Scheduled(plan),
            file,
            records_from,
            samples=len(samples),
            batch=batch,
            epochs=epochs,
            score=None if validation is None else _score,
            patience=patience,
        )
        probed = _Probe(network, samples, probe, seed)
        gradients = BatchParts(parts, ranks, [each for each in network.parameters() if each.requires_grad])
        course = _LearningCourse(network, samples, validation, loss, steps, gradients, limit, probed, file, seed)
        loop.run(course, progress)
    if loop.best:
        network.load_state_dict(loop.best)
    return LearningLog(tuple(loop.records), loop.resumed)


@own_surroundings()
@torch.no_grad()
def measure(
    network: LayeredNetwork,
    samples: SpikeSamples,
    *,
    batch: int = 256,
    seed: int = 0,
    ranks: Ranks = ALONE,
    progress: ProgressCallback | None = None,
) -> Measures:
    """Decisions and spikes of ``network`` on ``samples``, over all their steps.

    Draws of an encoder depend on ``seed``. ``ranks`` share the batches. ``progress`` is called between batches (see
    ``Progress``). Raises ``ConfigurationError`` for numbers out of range, ``InputError`` for samples that do not fit
    the network, ``RankError`` for a rank that is gone or has failed.
    """
    check_integers(1, batch=batch)
    check_integers(0, seed=seed)
    check_samples(samples, network, "samples")
    batches = [*enumerate(torch.split(torch.arange(len(samples)), batch))]
    done = PartsDone(progress, "measuring", len(batches[ranks.rank :: ranks.size]))

    def tally_of(item: tuple[int, Tensor]) -> Tally:
        number, positions = item
        events = samples.batch(positions, generator_of(seed, _MEASURING, number)).to(_device(network))
        tally = Tally()
        tally.add(network(events), _labels(samples, positions, network))
        done.more()
        return tally

    return merged(ranks.mapped("measuring", tally_of, batches)).measures()


class _LearningCourse:
    """The steps of training, and what they were like in an epoch."""

    def __init__(
        self,
        network: LayeredNetwork,
        samples: SpikeSamples,
        validation: SpikeSamples | None,
        loss: SpikeLoss,
        optimizer: Optimizer,
        gradients: BatchParts,
        clip: float | None,
        probe: _Probe,
        file: Checkpoint,
        seed: int,
    ) -> None:
        self.network, self.samples, self.loss, self.optimizer = network, samples, loss, optimizer
        self.gradients, self.validation, self.clip, self.probe = gradients, validation, clip, probe
        self.file, self.seed = file, seed
        self.trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.tally, self.reached = Tally(), 0
        #: Whether this rank's parts of a batch are without an output spike, batch by batch.
        self.silent: list[bool] = []

    def order(self, epoch: int) -> Tensor:
        return order_of_epoch(len(self.samples), self.seed, epoch)

    def step(self, epoch: int, number: int, positions: Tensor) -> float:
        network, device = self.network, _device(self.network)
        given: list[tuple[Tensor, Tensor]] = []
        self.silent.append(True)

        def loss_of(part: Tensor, place: int) -> Tensor:
            events = self.samples.batch(part, generator_of(self.seed, epoch, number, place)).to(device)
            targets = self.samples.targets(part).to(device)
            layers = network(events)
            value = self.loss(layers[-1].spikes, targets)
            if not isinstance(value, Tensor) or value.dim() != 0:
                shown = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ConfigurationError(f"the loss made {shown} of a batch; it must be a tensor of one number")
            given.append((events, targets))
            # A potential that is not finite stays so, or fires once and is NaN after the reset.
            self._check_finite(epoch, number, [value.detach(), *(layer.potential[-1] for layer in layers)], given)
            self.silent[-1] = self.silent[-1] and not bool(layers[-1].events.any())
            self.tally.add(layers, _labels(self.samples, part, network))
            return value

        loss = self.gradients.backward(positions, loss_of)
        self._check_finite(epoch, number, [p.grad for p in network.parameters() if p.grad is not None], given)
        if self.clip is not None:
            torch.nn.utils.clip_grad_value_(self.trained, self.clip)
        self.reached += any(bool(p.grad.any()) for p in self.trained if p.grad is not None)
        self.optimizer.step()
        return loss

    def record(self, epoch: int, loss: float) -> EpochRecord:
        tallies, silent = zip(*self.file.ranks.gather("an epoch", (self.tally, self.silent)), strict=True)
        dead, batches, reached = sum(map(all, zip(*silent, strict=True))), len(self.silent), self.reached
        self.tally, self.silent, self.reached = Tally(), [], 0
        if not reached and loss > 0.0:
            raise ModelError(self._unreached(epoch, loss, dead == batches))
        if dead:
            _logger.warning("epoch %d: in %d of %d batches no output neuron fired", epoch + 1, dead, batches)
        changed, clamped = self.probe.compare()
        return EpochRecord(
            epoch=epoch,
            loss=loss,
            training=merged(tallies).measures(),
            validation=None if self.validation is None else self._validated(self.validation),
            clamped=clamped,
            change=changed,
            dead_batches=dead,
            learning_rates=tuple(float(group["lr"]) for group in self.optimizer.param_groups),
        )

    def _unreached(self, epoch: int, loss: float, silent: bool) -> str:
        if silent:
            return (
                f"no output neuron fired in epoch {epoch + 1} and no gradient is left that could wake one; use "
                "rule='antlr', GradientRule(silent_push=100.0) or a larger weight_offset of LayeredNetwork, and see "
                "that the input has spikes"
            )
        return (
            f"every gradient is zero in epoch {epoch + 1}, though the loss is {loss:.3g}: nothing is left to learn for "
            f"rule {self.network.rule.rule!r} under {self.loss!r}. 'timing' needs a loss on times (LatencyLoss, "
            "SpikeTrainLoss), 'activation' one on the existence of spikes (CountLoss, SpikeTrainLoss); 'antlr' takes "
            "both"
        )

    def _validated(self, samples: SpikeSamples) -> Measures:
        return measure(self.network, samples, ranks=self.file.ranks)

    def _check_finite(self, epoch: int, number: int, checked: list[Tensor], given: list[tuple[Tensor, Tensor]]) -> None:
        if all(bool(tensor.isfinite().all()) for tensor in checked):
            return
        batch = {}
        if given:  # a rank may have no part of a batch that has fewer samples than others
            events, targets = zip(*given, strict=True)
            # Trains have samples along the axis behind time, classes along the first.
            axis = int(targets[0].dim() == 3)
            batch = {"events": torch.cat(events, 1), "targets": torch.cat(targets, axis)}
        weights = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        kept = self.file.kept_failure({**batch, **weights})
        raise ModelError(
            f"loss, potentials or gradients are not finite in epoch {epoch + 1}, batch {number + 1}; lower the "
            f"learning rate, or look for weights that are not finite at the start; {kept}"
        )


class _Probe:
    """A fixed batch whose trains are compared from epoch to epoch."""

    def __init__(self, network: LayeredNetwork, samples: SpikeSamples, size: int, seed: int) -> None:
        positions = torch.arange(min(size, len(samples)))
        self.network = network
        self.events = samples.batch(positions, generator_of(seed, _MEASURING, 0)).to(_device(network))
        self.before, _ = self._run()

    def compare(self) -> tuple[Change, float]:
        """The change since the last call, and the share of spikes at which the clamp is active."""
        after, clamped = self._run()
        changed, self.before = change(self.before, after), after
        return changed, clamped

    @torch.no_grad()
    def _run(self) -> tuple[list[Tensor], float]:
        layers = self.network(self.events)
        return [layer.events for layer in layers], clamped_share(layers, self.network.rule)


def _score(record: EpochRecord) -> float:
    """What the best epoch has the least of: decisions by first spikes that are right on validation samples, negated."""
    assert record.validation is not None
    return -record.validation.by_first


def _device(network: LayeredNetwork) -> torch.device:
    return network.linear[0].weight.device


def _labels(samples: SpikeSamples, positions: Tensor, network: LayeredNetwork) -> Tensor | None:
    return None if samples.labels is None else samples.labels[positions].to(_device(network))
