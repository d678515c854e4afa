"""Logs: what a search for codes tried, and how a tuning went; plain records that a network carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snnconv.tables import Column, ResultTable, Tabular

Cost = Literal["energy", "spikes", "latency"]


@dataclass(frozen=True)
class Trial:
    """A network that the search measured: expected loss in percentage points, and mean cost of one sample.

    ``synops_are_bound`` says that synaptic operations, and so ``energy``, are upper bounds.
    """

    codes: str
    loss: float
    spikes_per_neuron: float
    latency: int
    energy: float
    synops_are_bound: bool = False

    def cost(self, kind: Cost) -> float:
        """The cost that is to be kept low."""
        return {"energy": self.energy, "spikes": self.spikes_per_neuron, "latency": float(self.latency)}[kind]


@dataclass(frozen=True)
class SearchLog(Tabular):
    """What a search tried and what it chose. Prints as a table.

    Attributes:
        trials: Every network that was measured, in order.
        chosen: Number of the chosen one, from 0.
        left_out: Codes that were not tried in all populations at once, because what single populations cost with them,
            or do to the output, rules them out.
    """

    trials: tuple[Trial, ...]
    chosen: int
    left_out: tuple[str, ...] = ()

    def to_table(self) -> ResultTable:
        """Every network that was tried, the chosen one marked."""
        columns = (
            Column("codes (* chosen)"),
            Column("expected loss", form=".2f"),
            Column("spikes per neuron", form=".3f"),
            Column("latency"),
            Column("E3", "uJ", ".4g", bounds=any(trial.synops_are_bound for trial in self.trials)),
        )
        rows = tuple(
            (
                ("* " if number == self.chosen else "") + trial.codes,
                trial.loss,
                trial.spikes_per_neuron,
                trial.latency,
                trial.energy * 1e6,
            )
            for number, trial in enumerate(self.trials)
        )
        return ResultTable(columns, rows)

    def __str__(self) -> str:
        tried = str(self.to_table())
        return f"{tried}\nruled out by single populations: {', '.join(self.left_out)}" if self.left_out else tried


@dataclass(frozen=True)
class TuningLog(Tabular):
    """How a tuning went: mean losses of every epoch, on training and on held-out samples.

    Attributes:
        losses: Loss of every epoch on training samples.
        held_out_losses: Loss behind every epoch on held-out samples.
        initial_loss: Loss of the network given, on held-out samples.
        best_epoch: The epoch of the smallest held-out loss, from 1; 0 where none came to less than the initial loss.
        resumed: Number of epochs that were read from a checkpoint.
    """

    losses: tuple[float, ...]
    held_out_losses: tuple[float, ...]
    initial_loss: float
    best_epoch: int
    resumed: int

    def to_table(self) -> ResultTable:
        """Losses of every epoch; epoch 0 is the network given."""
        columns = (Column("epoch"), Column("loss", form=".4g"), Column("held-out loss", form=".4g"))
        epochs = enumerate(zip(self.losses, self.held_out_losses, strict=True), 1)
        return ResultTable(columns, ((0, None, self.initial_loss), *((epoch, *pair) for epoch, pair in epochs)))
