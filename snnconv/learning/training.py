"""Training of layered networks by the gradients of their spikes; interrupted runs go on where they stopped."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from snnconv.checkpoint import Checkpoint
from snnconv.errors import ConfigurationError, InputError, ModelError
from snnconv.learning.layer import LayerSpikes
from snnconv.learning.losses import LatencyLoss, SpikeLoss
from snnconv.learning.measures import Change, Measures, Tally, change, clamped_share
from snnconv.learning.network import LayeredNetwork
from snnconv.learning.records import EpochRecord, LearningLog, as_json, records_from
from snnconv.learning.samples import SpikeSamples
from snnconv.seeding import generator_of, order_of_epoch
from snnconv.sweep_file import weights_digest

_LOGGER = logging.getLogger(__name__)
_LOSS = LatencyLoss()
#: Stand for an epoch where draws belong to none: those of measuring, which are the same every time.
_MEASURING = 2**31


def _adam(parameters: Iterable[Parameter]) -> Optimizer:
    return Adam(parameters, lr=1e-3)


def train(
    network: LayeredNetwork,
    samples: SpikeSamples,
    *,
    epochs: int,
    batch: int = 16,
    loss: SpikeLoss = _LOSS,
    optimizer: Callable[[Iterable[Parameter]], Optimizer] = _adam,
    scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    clip: float = 1.0,
    validation: SpikeSamples | None = None,
    patience: int | None = None,
    probe: int = 32,
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: Callable[[range], Iterable[int]] = iter,
) -> LearningLog:
    """Change the weights of ``network``, on its device, so that its outputs fire as ``loss`` asks for ``samples``.

    Every epoch sees all samples once, in batches of about ``batch``; elements of gradients are clipped to
    [-``clip``, ``clip``]. ``optimizer`` makes a torch optimiser (Adam with 1e-3 by default), and ``scheduler`` a
    schedule of it that advances once an epoch. With ``validation`` the network ends with the weights of the epoch that
    decides best by first spikes there, the first of several; ``patience`` epochs without a better one end training.
    Records compare the trains of the first ``probe`` samples before and after an epoch. ``progress`` is passed the
    numbers of the steps to come.

    After every epoch the run is written to the file ``checkpoint``. If it exists, training goes on from there and comes
    to the same weights, bit for bit on a CPU, as without an interruption.

    A batch without an output spike is counted in the records. Raises ``ConfigurationError`` for options out of range,
    ``InputError`` for samples that do not fit the network, ``StorageError`` for a checkpoint that cannot be used or
    written, ``ModelError`` where loss, potentials or gradients are not finite (the batch is kept in the file
    ``checkpoint`` + ".failed"), and for a network that no output spike or gradient is left of.
    """
    _check_options(epochs, batch, probe, seed, clip, patience, validation)
    _check_samples(samples, network, "samples")
    if validation is not None:
        _check_samples(validation, network, "validation")
    parameters = list(network.parameters())
    steps = optimizer(parameters)
    plan = None if scheduler is None else scheduler(steps)
    setting = (
        f"epochs {epochs}, batch {batch}, {loss!r}, {_shown(steps)}, {_schedule(plan)}, clip {clip!r}, patience "
        f"{patience}, probe {probe}, seed {seed}"
    )
    run = {
        "network": f"{weights_digest(network)} {network!r}",
        "data": f"{samples.digest()} {None if validation is None else validation.digest()}",
        "setting": setting,
    }
    file = Checkpoint(checkpoint, run)
    records, best = file.read(network, steps, records_from)
    resumed = len(records)
    _replay(plan, records)
    if not resumed:
        # Before the first epoch, so that a path that cannot be written costs none.
        file.write(network, best, steps, [])
    course = _Course(network, samples, loss, steps, clip, file, seed)
    batches = math.ceil(len(samples.labels) / batch)
    watch = _Probe(network, samples, probe, seed)
    numbers = iter(progress(range(resumed * batches, epochs * batches)))
    for epoch in range(resumed, epochs):
        if _ended(records, patience):
            break
        mean, dead, measures = course.epoch(epoch, batches, numbers)
        changed, clamped = watch.compare()
        judged = None if validation is None else measure(network, validation)
        rates = tuple(float(group["lr"]) for group in steps.param_groups)
        record = EpochRecord(epoch, mean, measures, judged, clamped, changed, dead, rates)
        if judged is not None and judged.by_first > max((_judged(record) for record in records), default=-1.0):
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        records.append(record)
        _advance(plan, record)
        file.write(network, best, steps, as_json(records))
    next(numbers, None)  # a progress bar ends when it is asked for more
    if best:
        network.load_state_dict(best)
    return LearningLog(tuple(records), resumed)


@torch.no_grad()
def measure(network: LayeredNetwork, samples: SpikeSamples, *, batch: int = 256, seed: int = 0) -> Measures:
    """Decisions and spikes of ``network`` on ``samples``, over all their steps.

    Draws of an encoder depend on ``seed``. Raises ``InputError`` for samples that do not fit the network.
    """
    _check_samples(samples, network, "samples")
    tally = Tally()
    for number, positions in enumerate(torch.split(torch.arange(len(samples.labels)), batch)):
        events = samples.batch(positions, generator_of(seed, _MEASURING, number))
        layers = network(events.to(network.linear[0].weight.device))
        tally.add(layers, samples.labels[positions].to(events.device))
    return tally.measures()


class _Course:
    """The steps of training."""

    def __init__(
        self,
        network: LayeredNetwork,
        samples: SpikeSamples,
        loss: SpikeLoss,
        optimizer: Optimizer,
        clip: float,
        file: Checkpoint,
        seed: int,
    ) -> None:
        self.network, self.samples, self.loss, self.optimizer = network, samples, loss, optimizer
        self.clip, self.file, self.seed = clip, file, seed

    def epoch(self, epoch: int, batches: int, numbers: Iterator[int]) -> tuple[float, int, Measures]:
        """Mean loss, batches without an output spike, and measures of all batches before their step."""
        labels = self.samples.labels
        tally, total, dead, stuck = Tally(), 0.0, 0, 0
        for number, positions in enumerate(order_of_epoch(len(labels), self.seed, epoch).tensor_split(batches)):
            next(numbers, None)
            events = self.samples.batch(positions, generator_of(self.seed, epoch, number))
            events, targets = events.to(self.device), labels[positions].to(self.device)
            layers = self.network(events)
            value = self.loss(layers[-1].spikes, targets)
            self.optimizer.zero_grad()
            torch.autograd.backward(value)
            where = f"epoch {epoch + 1}, batch {number + 1}"
            self._check_finite(where, value, layers, events, targets)
            torch.nn.utils.clip_grad_value_(self.network.parameters(), self.clip)
            silent = not bool(layers[-1].events.any())
            dead += silent
            stuck += silent and not any(bool(p.grad.any()) for p in self.network.parameters() if p.grad is not None)
            self.optimizer.step()
            tally.add(layers, targets)
            total += float(value.detach()) * len(positions)
        if stuck == batches:
            raise ModelError(
                f"no output neuron fired in epoch {epoch + 1} and no gradient is left that could wake one; use "
                "rule='antlr', GradientRule(silent_push=100.0) or a larger weight_offset of LayeredNetwork"
            )
        if dead:
            _LOGGER.warning("epoch %d: in %d of %d batches no output neuron fired", epoch + 1, dead, batches)
        return total / len(labels), dead, tally.measures()

    @property
    def device(self) -> torch.device:
        return self.network.linear[0].weight.device

    def _check_finite(
        self, where: str, value: Tensor, layers: list[LayerSpikes], events: Tensor, targets: Tensor
    ) -> None:
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        # A potential that is not finite stays so, or fires once and is NaN after the reset.
        checked = [value.detach(), *(layer.potential[-1] for layer in layers), *gradients]
        if all(bool(tensor.isfinite().all()) for tensor in checked):
            return
        weights = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        kept = self.file.kept_failure({"events": events, "targets": targets, **weights})
        raise ModelError(
            f"loss, potentials or gradients are not finite in {where}; lower the learning rate, or look for weights "
            f"that are not finite at the start; {kept}"
        )


class _Probe:
    """A fixed batch whose trains are compared from epoch to epoch."""

    def __init__(self, network: LayeredNetwork, samples: SpikeSamples, size: int, seed: int) -> None:
        positions = torch.arange(min(size, len(samples.labels)))
        self.network = network
        self.events = samples.batch(positions, generator_of(seed, _MEASURING, 0)).to(network.linear[0].weight.device)
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


def _judged(record: EpochRecord) -> float:
    return -1.0 if record.validation is None else record.validation.by_first


def _ended(records: list[EpochRecord], patience: int | None) -> bool:
    """Whether no record of the last ``patience`` is better than the best before."""
    if patience is None or len(records) <= patience:
        return False
    judged = [_judged(record) for record in records]
    return max(judged[-patience:]) <= max(judged[:-patience])


def _advance(plan: LRScheduler | None, record: EpochRecord) -> None:
    if isinstance(plan, ReduceLROnPlateau):
        plan.step(record.loss)
    elif plan is not None:
        plan.step()


def _replay(plan: LRScheduler | None, records: list[EpochRecord]) -> None:
    """Put a schedule where the records left it: learning rates follow from the number of epochs and their losses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the optimiser has made its steps in another process
        for record in records:
            _advance(plan, record)


def _shown(optimizer: Optimizer) -> str:
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    return f"{type(optimizer).__name__} {groups}"


def _schedule(plan: LRScheduler | None) -> str:
    if plan is None:
        return "no schedule"
    state: dict[str, Any] = {key: value for key, value in plan.state_dict().items() if not callable(value)}
    return f"{type(plan).__name__} {state}"


def _check_options(
    epochs: int, batch: int, probe: int, seed: int, clip: float, patience: int | None, validation: object
) -> None:
    if min(epochs, batch, probe) < 1 or seed < 0 or not (math.isfinite(clip) and clip > 0.0):
        raise ConfigurationError(
            f"epochs {epochs}, batch {batch}, probe {probe}, clip {clip}, seed {seed}: the first three must be 1 or "
            "more, clip positive, the seed 0 or more"
        )
    if patience is not None and (patience < 1 or validation is None):
        raise ConfigurationError(f"patience {patience!r} must be 1 or more, and needs validation samples")


def _check_samples(samples: SpikeSamples, network: LayeredNetwork, what: str) -> None:
    if samples.inputs != network.sizes[0]:
        raise InputError(f"{what} have {samples.inputs} input neurons, the network {network.sizes[0]}")
    largest = int(samples.labels.max())
    if largest >= network.classes:
        raise InputError(f"{what}: a label is {largest}; the network has classes 0 to {network.classes - 1}")
