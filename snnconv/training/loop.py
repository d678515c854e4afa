"""The loop of every training: epochs, checkpoints, going on behind an interruption, the best epoch, patience."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Generic, Protocol, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from snnconv.errors import StorageError
from snnconv.progress import ProgressCallback, tell
from snnconv.storage.digests import weights_digest
from snnconv.training.checkpoint import Checkpoint, Records
from snnconv.training.learning_rate import LearningRates


@dataclass(frozen=True)
class Epoch:
    """What an epoch leaves behind: its mean loss over samples, each before the step that it was part of."""

    loss: float


Record = TypeVar("Record", bound=Epoch)
Made = TypeVar("Made", bound=Epoch, covariant=True)


class Training(Protocol[Made]):
    """What one training differs in from another: the order of its samples, its step, and its records."""

    def order(self, epoch: int) -> Tensor:
        """The positions of all samples to train on, in the order in which ``epoch`` sees them."""
        ...

    def step(self, epoch: int, number: int, positions: Tensor) -> float:
        """Change the network by step ``number`` of ``epoch``; the mean loss of its samples before that."""
        ...

    def record(self, epoch: int, loss: float) -> Made:
        """What to keep of ``epoch``, which has ended with the mean ``loss``."""
        ...


class TrainingLoop(Generic[Record]):
    """A run of training, from where its checkpoint stands or from its start.

    Every epoch sees ``samples`` samples, about ``batch`` of them in a step. ``parse`` makes records of what ``file``
    holds. ``score`` judges a record, less being better: ``best`` are the weights of the epoch with the least, the first
    of several, or those before the first epoch if their score, ``initial``, is not more. ``patience`` epochs without a
    better one end the run.

    Once made, network and optimiser stand where the run is to go on; of ``records``, one an epoch, ``resumed`` were
    read. The file is written before the first epoch, so that a path that cannot be written costs none, and after
    every one. The ranks of ``file`` must have the same weights then. Raises ``StorageError`` for a file that cannot be
    used or written, and ``RankError`` for ranks whose weights differ.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        rates: LearningRates,
        file: Checkpoint,
        parse: Callable[[Records, Checkpoint], list[Record]],
        *,
        samples: int,
        batch: int,
        epochs: int,
        score: Callable[[Record], float] | None = None,
        initial: float = math.inf,
        patience: int | None = None,
    ) -> None:
        self.network, self.optimizer, self.rates, self.file = network, optimizer, rates, file
        self.samples, self.batches, self.epochs = samples, math.ceil(samples / batch), epochs
        self.score, self.initial, self.patience = score, initial, patience

        def checked(found: Records, file: Checkpoint) -> list[Record]:
            if len(found) > epochs:
                raise StorageError(
                    f"{file.path} holds {len(found)} epochs, more than the {epochs} of epochs={epochs}; ask for "
                    f"{len(found)} or more, or take another path"
                )
            return parse(found, file)

        self.records, self.best = file.read(network, optimizer, checked)
        self.resumed = len(self.records)
        if initial < math.inf and not self.best:
            self._keep_best()
        rates.replay([record.loss for record in self.records])
        self._compare_ranks()
        if not self.resumed:
            self._write()

    @property
    def best_epoch(self) -> int:
        """The epoch with the least score, counted from 1; 0 where none has less than ``initial``."""
        scores = [] if self.score is None else [self.score(record) for record in self.records]
        every = [self.initial, *scores]
        return every.index(min(every))

    def run(self, training: Training[Record], progress: ProgressCallback | None) -> None:
        """Make the epochs that are left; an interruption, by ``progress`` too, loses at most the one it falls into."""
        done, steps = self.resumed * self.batches, self.epochs * self.batches
        tell(progress, "training", done, steps)
        for epoch in range(self.resumed, self.epochs):
            if self._ended():
                break
            total = 0.0
            for number, positions in enumerate(training.order(epoch).tensor_split(self.batches)):
                if number:
                    tell(progress, "training", done, steps)
                self.rates.before_step(self.optimizer, done, steps)
                total += training.step(epoch, number, positions) * len(positions)
                done += 1
            record = training.record(epoch, total / self.samples)
            self.records.append(record)
            if self.best_epoch == len(self.records):
                self._keep_best()
            self.rates.after_epoch(record.loss)
            self._compare_ranks()
            self._write()
            tell(progress, "training", done, steps)
        if done < steps:
            tell(progress, "training", done, done)

    def _ended(self) -> bool:
        return self.patience is not None and len(self.records) - self.best_epoch >= self.patience

    def _keep_best(self) -> None:
        self.best = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    def _compare_ranks(self) -> None:
        """Raise ``RankError`` where a rank has come to other weights than the first."""
        ranks = self.file.ranks
        if ranks.size > 1:
            ranks.agree("weights", {f"weights after epoch {len(self.records)}": weights_digest(self.network)})

    def _write(self) -> None:
        self.file.write(self.network, self.best, self.optimizer, [asdict(record) for record in self.records])
