"""Training of detectors: pictures with objects in, weights out; interrupted runs go on where they stopped."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from snnconv.checkpoint import Checkpoint, Records, numbers_of
from snnconv.detection.augmentation import Augmentation
from snnconv.detection.darknet import DarknetNetwork
from snnconv.detection.loss import detection_loss
from snnconv.detection.samples import LabelledPictures, Objects, Samples
from snnconv.digests import weights_digest
from snnconv.errors import ConfigurationError, ModelError
from snnconv.seeding import order_of_epoch, seeded

#: Part of the steps in which the learning rate rises, and what is left of it in the last step.
_WARM_UP, _LAST_RATE = 0.05, 0.01
_WEIGHT_DECAY = 5e-4
#: Longest gradient of a step; longer ones are shortened.
_LONGEST_GRADIENT = 10.0
_AUGMENTATION = Augmentation()


@dataclass(frozen=True)
class TrainingLog:
    """The mean loss of every epoch, and how many of these were read from a checkpoint."""

    losses: tuple[float, ...]
    resumed: int


def train_detector(
    network: DarknetNetwork,
    data: LabelledPictures,
    *,
    epochs: int,
    batch: int = 32,
    learning_rate: float = 2e-3,
    augmentation: Augmentation = _AUGMENTATION,
    letterbox: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: Callable[[range], Iterable[int]] = iter,
) -> TrainingLog:
    """Change the weights of ``network``, on its device, so that its heads find the objects in ``data``.

    ``data`` is a ``BoxDataset``, whose files are read when a batch needs them, or images ``[N, 3, H, W]`` of the
    network's size from 0 to 1 with the truth of each. Every epoch sees all pictures once, in batches of about
    ``batch``, changed by ``augmentation``. AdamW (Loshchilov and Hutter 2019) minimises ``detection_loss``; the
    learning rate rises to ``learning_rate`` over the first twentieth of all steps and falls along a cosine to a
    hundredth of it. ``progress`` is passed the numbers of the steps to come.

    After every epoch the run is written to the file ``checkpoint``. If it exists, training goes on from there and comes
    to the same weights as without an interruption. On a CPU the same network, data and options come to the same
    weights, bit for bit; a GPU adds gradients in an order of its own. The network is in eval mode afterwards, and its
    ``seen`` has grown by the pictures seen.

    Raises ``ConfigurationError`` for options out of range, ``InputError`` for data that does not suit the network and,
    with the file's name, for pictures that cannot be read, ``StorageError`` for a checkpoint that cannot be used or
    written, ``ModelError`` with epoch and batch, counted from 1, where the loss is not finite.
    """
    if min(epochs, batch) < 1 or seed < 0 or not (math.isfinite(learning_rate) and learning_rate > 0.0):
        raise ConfigurationError(
            f"epochs {epochs}, batch {batch}, learning_rate {learning_rate}, seed {seed}: the first two must be 1 or "
            "more, learning_rate positive, the seed 0 or more"
        )
    samples = Samples(data, network, letterbox=letterbox)
    run = {
        "network": f"{weights_digest(network)} {network.heads} {network.input_shape} {network.seen}",
        "data": samples.digest(),
        "setting": f"epochs {epochs}, batch {batch}, learning rate {learning_rate!r}, {augmentation}, seed {seed}",
    }
    file = Checkpoint(checkpoint, run)
    optimizer = _optimizer(network, learning_rate)
    losses, _ = file.read(network, optimizer, _losses)
    resumed = len(losses)
    if not resumed:
        # Before the first epoch, so that a path that cannot be written costs none.
        file.write(network, {}, optimizer, [{"loss": loss} for loss in losses])
    batches = math.ceil(len(samples) / batch)
    device = next(network.parameters()).device
    total = 0.0
    try:
        network.train()
        for step in progress(range(resumed * batches, epochs * batches)):
            epoch, number = divmod(step, batches)
            positions = order_of_epoch(len(samples), seed, epoch).tensor_split(batches)[number].tolist()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * _rate(step, epochs * batches)
            with seeded(device, seed, epoch, number):
                images, objects = augmentation(*samples.batch(positions))
                loss = _step(network, optimizer, images.to(device), objects.to(device))
            if loss is None:
                raise ModelError(
                    f"the loss is not finite in epoch {epoch + 1}, batch {number + 1}; lower learning_rate, which is "
                    f"{learning_rate}, or look for weights that are not finite at the start"
                )
            total += loss * len(positions)
            if number == batches - 1:
                losses.append(total / len(samples))
                total = 0.0
                file.write(network, {}, optimizer, [{"loss": loss} for loss in losses])
    finally:
        network.eval()
    network.seen += len(losses) * len(samples)
    return TrainingLog(tuple(losses), resumed)


def _losses(records: Records, file: Checkpoint) -> list[float]:
    return [loss for (loss,) in numbers_of(records, file, "loss")]


def _optimizer(network: nn.Module, learning_rate: float) -> AdamW:
    """AdamW that lets kernels decay, but not shifts and scales."""
    parameters = list(network.parameters())
    kernels = [parameter for parameter in parameters if parameter.dim() > 1]
    others = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups = [{"params": kernels, "weight_decay": _WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, lr=learning_rate)


def _rate(step: int, steps: int) -> float:
    """The learning rate in a step, relative to the highest."""
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    fall = 0.5 * (1.0 + math.cos(math.pi * (step - warm + 1) / max(1, steps - warm)))
    return _LAST_RATE + (1.0 - _LAST_RATE) * fall


def _step(network: DarknetNetwork, optimizer: AdamW, images: Tensor, objects: Objects) -> float | None:
    """One step of training and its loss; none is made, and nothing returned, where the loss is not finite."""
    maps = network(images)
    if not all(bool(values.isfinite().all()) for values in maps):
        return None
    total = detection_loss(maps, network.heads, objects).total
    value = total.item()
    if not math.isfinite(value):
        return None
    optimizer.zero_grad()
    torch.autograd.backward(total)
    nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_GRADIENT)
    optimizer.step()
    return value
