"""Training of detectors: pictures with objects in, weights out; interrupted runs go on where they stopped."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from snnconv.detection.augmentation import Augmentation
from snnconv.detection.darknet import DarknetNetwork
from snnconv.detection.loss import detection_loss
from snnconv.detection.samples import LabelledPictures, Objects, Samples
from snnconv.errors import ConfigurationError, ModelError
from snnconv.progress import ProgressCallback
from snnconv.ranks import ALONE, Ranks
from snnconv.storage.digests import weights_digest
from snnconv.surroundings import own_surroundings
from snnconv.training.checkpoint import Checkpoint, Records, numbers_of
from snnconv.training.learning_rate import WarmUpCosine
from snnconv.training.loop import Epoch, TrainingLoop
from snnconv.training.options import check_precision
from snnconv.training.parts import BatchParts, check_parts
from snnconv.training.seeding import order_of_epoch, seeded

#: Part of the highest learning rate that the last step comes to.
_LAST_RATE = 0.01
_WEIGHT_DECAY = 5e-4
#: Longest gradient of a step; longer ones are shortened.
_LONGEST_GRADIENT = 10.0
_AUGMENTATION = Augmentation()


@dataclass(frozen=True)
class TrainingLog:
    """The mean loss of every epoch, and how many of these were read from a checkpoint."""

    losses: tuple[float, ...]
    resumed: int


@own_surroundings()
@torch.enable_grad()
def train_detector(
    network: DarknetNetwork,
    data: LabelledPictures,
    *,
    epochs: int,
    batch: int = 32,
    learning_rate: float = 2e-3,
    augmentation: Augmentation = _AUGMENTATION,
    letterbox: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    parts: int = 1,
    ranks: Ranks = ALONE,
    progress: ProgressCallback | None = None,
) -> TrainingLog:
    """Change the weights of ``network``, on its device, so that its heads find the objects in ``data``.

    ``data`` is a ``BoxDataset``, whose files are read when a batch needs them, or images ``[N, 3, H, W]`` of the
    network's size from 0 to 1 with the truth of each. Every epoch sees all pictures once, in batches of about
    ``batch``, changed by ``augmentation``; ``letterbox`` says whether they keep their aspect ratio, by default as the
    network's .cfg does. AdamW (Loshchilov and Hutter 2019) minimises ``detection_loss``; the learning rate rises to
    ``learning_rate`` over the first twentieth of all steps and falls along a cosine to a hundredth of it. ``progress``
    is called before every step; what it raises ends training, and the network keeps the weights that it has come to
    (see ``Progress``).

    A batch comes in ``parts``, each with the loss of its own objects, draws of its own and batch norms by its own
    statistics; a step takes the mean of their gradients, and running averages are the mean of theirs. ``ranks`` are
    processes that share the parts (``snnconv.ranks.ranks``), at most as many; weights depend on ``parts`` and, on a
    CPU, not on their number.

    After every epoch the run is written to the file ``checkpoint``. If it exists, training goes on from there and comes
    to the same weights as without an interruption. On a CPU the same network, data and options come to the same
    weights, bit for bit; a GPU adds gradients in an order of its own. The network is in eval mode afterwards, and its
    ``seen`` has grown by the pictures seen.

    Raises ``ConfigurationError`` for options out of range, ``InputError`` for data that does not suit the network and,
    with the file's name, for pictures that cannot be read, ``StorageError`` for a checkpoint that cannot be used or
    written, ``ModelError`` for a network in half precision and, with epoch and batch, counted from 1, where the loss
    is not finite, ``RankError`` for a rank that is gone, has failed, or has other pictures or settings.
    """
    if min(epochs, batch) < 1 or seed < 0 or not (math.isfinite(learning_rate) and learning_rate > 0.0):
        raise ConfigurationError(
            f"epochs {epochs}, batch {batch}, learning_rate {learning_rate}, seed {seed}: the first two must be 1 or "
            "more, learning_rate positive, the seed 0 or more"
        )
    check_parts(parts, batch, ranks)
    check_precision(network)
    samples = Samples(data, network, letterbox=letterbox)
    rates = WarmUpCosine(learning_rate, _LAST_RATE)
    run = {
        "network": f"{weights_digest(network)} {network.heads} {network.input_shape} {network.seen}",
        "data": samples.digest(),
        "setting": f"epochs {epochs}, batch {batch}, {rates}, {augmentation}, seed {seed}"
        + (f", parts {parts}" if parts > 1 else ""),
    }
    ranks.agree("data or settings", run)
    optimizer = _optimizer(network, learning_rate)
    gradients = BatchParts(parts, ranks, list(network.parameters()), list(network.buffers()))
    with Checkpoint(checkpoint, run, ranks) as file:
        loop = TrainingLoop(network, optimizer, rates, file, _epochs, samples=len(samples), batch=batch, epochs=epochs)
        try:
            network.train()
            course = _DetectorCourse(network, samples, optimizer, gradients, learning_rate, augmentation, seed)
            loop.run(course, progress)
        finally:
            network.eval()
    network.seen += len(loop.records) * len(samples)
    return TrainingLog(tuple(record.loss for record in loop.records), loop.resumed)


def _epochs(records: Records, file: Checkpoint) -> list[Epoch]:
    return [Epoch(loss) for (loss,) in numbers_of(records, file, "loss")]


class _DetectorCourse:
    """The steps of training."""

    def __init__(
        self,
        network: DarknetNetwork,
        samples: Samples,
        optimizer: AdamW,
        gradients: BatchParts,
        learning_rate: float,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        self.network, self.samples, self.optimizer, self.gradients = network, samples, optimizer, gradients
        self.learning_rate, self.augmentation, self.seed = learning_rate, augmentation, seed

    def order(self, epoch: int) -> Tensor:
        return order_of_epoch(len(self.samples), self.seed, epoch)

    def step(self, epoch: int, number: int, positions: Tensor) -> float:
        device = next(self.network.parameters()).device

        def loss_of(part: Tensor, place: int) -> Tensor:
            with seeded(device, self.seed, epoch, number, place):
                images, objects = self.augmentation(*self.samples.batch(part.tolist()))
                return _loss(self.network, images.to(device), objects.to(device))

        loss = self.gradients.backward(positions, loss_of)
        if not math.isfinite(loss):
            raise ModelError(
                f"the loss is not finite in epoch {epoch + 1}, batch {number + 1}; lower learning_rate, which is "
                f"{self.learning_rate}, or look for weights that are not finite at the start"
            )
        nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
        self.optimizer.step()
        return loss

    def record(self, epoch: int, loss: float) -> Epoch:
        return Epoch(loss)


def _optimizer(network: nn.Module, learning_rate: float) -> AdamW:
    """AdamW that lets kernels decay, but not shifts and scales."""
    parameters = list(network.parameters())
    kernels = [parameter for parameter in parameters if parameter.dim() > 1]
    others = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups = [{"params": kernels, "weight_decay": _WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, lr=learning_rate)


def _loss(network: DarknetNetwork, images: Tensor, objects: Objects) -> Tensor:
    """The loss of some pictures; none that is finite where a map is not."""
    maps = network(images)
    if not all(bool(values.isfinite().all()) for values in maps):
        return torch.full_like(maps[0].sum(), math.nan)
    total: Tensor = detection_loss(maps, network.heads, objects).total
    return total
