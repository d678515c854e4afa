"""tune(): weights, scales, shifts and codes of a converted network, trained through its own spikes."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from snnconv.checkpoint import Checkpoint, Records, numbers_of
from snnconv.errors import ConfigurationError, ModelError
from snnconv.learning.trained_tensors import TrainedTensors
from snnconv.learning.tuned_network import check_tunable, copy_of, measure_densities, tuned_output
from snnconv.learning.tuning_loss import TARGETS, Targets, original_of, response_sizes, tuning_loss
from snnconv.learning.tuning_samples import TuningSamples
from snnconv.learning.whole_numbers import check_whole
from snnconv.learning.window_gradient import RULES, Rule
from snnconv.network import SpikingNetwork
from snnconv.seeding import seeded
from snnconv.sweep_file import graph_digest, option_text

_LOGGER = logging.getLogger(__name__)
#: Part of the steps in which the learning rate rises: the first gradients know little about their own size.
_WARM_UP = 0.05
#: Longest gradient of a step; longer ones are shortened.
_LONGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TuningLog:
    """How a tuning went: mean losses of every epoch, on training and on held-out samples.

    ``initial_loss`` is that of the network given, on held-out samples. ``best_epoch`` counts from 1; 0 says that no
    epoch came to less than it. ``resumed`` epochs were read from a checkpoint.
    """

    losses: tuple[float, ...]
    held_out_losses: tuple[float, ...]
    initial_loss: float
    best_epoch: int
    resumed: int


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
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: Callable[[range], Iterable[int]] = iter,
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
            has something to say (see ``snnconv.learning.window_gradient``).
        targets: What the output is compared with: "decisions" of the original, softened class scores; its "outputs", by
            relative squared error; "labels", the class indices in ``data``, those of -100 left out; or "populations",
            nothing but what each population would say in the original, layer by layer with no gradient from one to the
            next. The original is the graph of ``network`` with activations instead of neurons.
        epochs: How often all samples are seen.
        batch: Samples of one step.
        learning_rate: The highest learning rate.
        population_weight: Weight of the error of the populations beside that of the output.
        augmentation: Function of a batch of the first input that draws from torch's own generator, such as
            ``ShiftAndFlip``.
        held_out: Share of the samples that is only measured. The network of the epoch with the least loss there is
            returned, at worst the given one.
        patience: Epochs without a smaller loss after which tuning ends.
        checkpoint: File to which the run is written after every epoch. If it exists, tuning goes on from there and
            comes to the same network, bit for bit on a CPU.
        seed: Seed of the order of the samples and of all draws.
        progress: Is passed the numbers of the steps to come.

    Returns:
        A network with the same codes, whose ``tuning_log`` tells the losses. Its own ``reference`` is the tuned graph
        with activations; ``evaluate`` it with ``reference=model`` to compare it with the original.

    Raises:
        ConfigurationError: An option is out of range, or the network has no closed form.
        InputError: The data do not suit the network or the targets.
        StorageError: The checkpoint cannot be used or written.
        ModelError: The loss is not finite; the text says in which epoch and batch, counted from 1.
    """
    _check_options(rule, targets, epochs, batch, learning_rate, population_weight, held_out, patience, seed)
    check_tunable(network, rule, targets)
    samples = TuningSamples(data, network, held_out, seed, labelled=targets == "labels")
    run = {}
    if checkpoint is not None:
        run = {
            "network": f"{graph_digest(network.complete_graph())} {_populations_text(network)}",
            "data": samples.digest(),
            "setting": f"rule {rule}, targets {targets}, epochs {epochs}, batch {batch}, learning rate "
            f"{learning_rate!r}, population weight {population_weight!r}, "
            f"{option_text('augmentation', augmentation, 'checkpoint')}, held out {held_out!r}, patience {patience}, "
            f"seed {seed}",
        }
    tuned = copy_of(network)
    trained = TrainedTensors(tuned)
    optimizer = AdamW(trained.tensors, lr=learning_rate, weight_decay=0.0)
    file = Checkpoint(checkpoint, run)

    def loss_of(inputs: tuple[Tensor, ...], labels: Tensor | None) -> Tensor:
        with torch.no_grad():
            original = original_of(network, inputs)
        found = tuned_output(tuned, inputs, rule, payloads=trained.payloads, apart=targets == "populations")
        return tuning_loss(found, original, labels, targets, population_weight, sizes)

    measured = torch.split(samples.measured, batch)
    with torch.no_grad():
        sizes = response_sizes(network, (samples.batch(positions)[0] for positions in measured))

    def held_out_loss() -> float:
        total = 0.0
        with torch.no_grad():
            for positions in measured:
                total += float(loss_of(*samples.batch(positions))) * len(positions)
        return total / len(samples.measured)

    initial = held_out_loss()
    if not math.isfinite(initial):
        raise ModelError("the loss of the network before tuning is not finite; look for weights that are not finite")
    records, best = file.read(trained, optimizer, _epochs)
    resumed = len(records)
    best = best or _values(trained)
    trained.settle()
    if not resumed:
        # Before the first epoch, so that a path that cannot be written costs none.
        file.write(trained, best, optimizer, [])
    batches = math.ceil(len(samples.trained) / batch)
    total = 0.0
    for step in progress(range(resumed * batches, epochs * batches)):
        epoch, number = divmod(step, batches)
        if number == 0 and _ended(records, initial, patience):
            break
        positions = samples.order(epoch).tensor_split(batches)[number]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * _rate(step, epochs * batches)
        inputs, labels = samples.batch(positions)
        if augmentation is not None:
            inputs = (_changed(augmentation, inputs[0], seed, epoch, number), *inputs[1:])
        loss = loss_of(inputs, labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        steepness = nn.utils.clip_grad_norm_(trained.tensors, _LONGEST_GRADIENT)
        if not (math.isfinite(loss.item()) and math.isfinite(float(steepness))):
            failed = {f"inputs {place}": tensor for place, tensor in enumerate(inputs)}
            raise ModelError(
                f"loss or gradient is not finite in epoch {epoch + 1}, batch {number + 1}; lower learning_rate, which "
                f"is {learning_rate}, or look at the samples {positions.tolist()}; "
                f"{file.kept_failure(failed | trained.state_dict())}"
            )
        optimizer.step()
        trained.settle()
        total += loss.item() * len(positions)
        if number == batches - 1:
            records.append(_Epoch(total / len(samples.trained), held_out_loss()))
            total = 0.0
            if not math.isfinite(records[-1].held_out):
                raise ModelError(
                    f"the held-out loss is not finite after epoch {epoch + 1}; lower learning_rate, which is "
                    f"{learning_rate}"
                )
            if _best(records, initial) == len(records):
                best = _values(trained)
            file.write(trained, best, optimizer, [record._asdict() for record in records])
    if _best(records, initial) == 0:
        _LOGGER.warning(
            "no epoch came nearer to the original on held-out samples (%.4g before tuning, %.4g at best): the network "
            "comes back as it was; try another learning_rate than %g, or more samples",
            initial,
            min(record.held_out for record in records),
            learning_rate,
        )
    trained.recall(best)
    trained.release()
    with torch.no_grad():
        measure_densities(tuned, (samples.batch(positions)[0] for positions in measured))
    tuned.tuned = tuned.tuned or _best(records, initial) > 0
    losses, held_out_losses = zip(*records, strict=True)
    tuned.tuning_log = TuningLog(losses, held_out_losses, initial, _best(records, initial), resumed)
    return tuned


class _Epoch(NamedTuple):
    """Mean losses of an epoch, on training and on held-out samples."""

    loss: float
    held_out: float


def _epochs(records: Records, file: Checkpoint) -> list[_Epoch]:
    return [_Epoch(*numbers) for numbers in numbers_of(records, file, *_Epoch._fields)]


def _values(trained: TrainedTensors) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in trained.state_dict().items()}


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
    check_whole(1, epochs=epochs, batch=batch, patience=1 if patience is None else patience)
    check_whole(0, seed=seed)
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


def _best(records: list[_Epoch], initial: float) -> int:
    """The epoch with the least held-out loss, counted from 1; 0 where none has less than ``initial``."""
    every = [initial, *(record.held_out for record in records)]
    return every.index(min(every))


def _ended(records: list[_Epoch], initial: float, patience: int | None) -> bool:
    return patience is not None and len(records) - _best(records, initial) >= patience


def _rate(step: int, steps: int) -> float:
    """The learning rate in a step, relative to the highest."""
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm + 1) / max(1, steps - warm + 1)))


def _changed(augmentation: Callable[[Tensor], Tensor], values: Tensor, seed: int, epoch: int, number: int) -> Tensor:
    """``values`` changed by draws that depend on the step alone; those of the caller go on as before."""
    with seeded(values.device, seed, epoch, number):
        changed = augmentation(values)
    if not isinstance(changed, Tensor):
        raise ConfigurationError(f"augmentation made a {type(changed).__name__} of a tensor; it must return a tensor")
    if changed.shape != values.shape or changed.dtype != values.dtype:
        raise ConfigurationError(
            f"augmentation made {changed.dtype} {list(changed.shape)} of {values.dtype} {list(values.shape)}; it must "
            "keep both"
        )
    return changed
