"""The file of a training run: weights, state of any optimiser, and the records of its epochs, read without pickle."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import safetensors
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from snnconv.data.file_kinds import CHECKPOINT, kind_of
from snnconv.errors import ConfigurationError, StorageError
from snnconv.ranks import ALONE, Ranks
from snnconv.storage.atomic import exclusive, temporary_file, write_whole
from snnconv.storage.signed import AlteredError, read_signed, signed

VERSION = 4
#: Beginnings of the names of weights, of those of the best epoch, and of the optimiser's state.
_WEIGHT, _BEST, _STATE = "network.", "best.", "optimizer."

Records = list[dict[str, Any]]
Record = TypeVar("Record")


class Checkpoint:
    """Where a run of training stands, in one signed file that is written whole or not at all.

    A ``with`` statement has the file to itself: a second run that would write it at the same time is refused with a
    ``StorageError``.

    ``run`` says by name what two runs must have in common to have the same result; the weights that a run starts from
    are in the file and need not be part of it. The state of random numbers and the learning rates of a scheduler are
    not kept: each step of training seeds its own, and rates follow from the records. ``path=None`` is a file that is
    never written. Of several ``ranks`` the first alone reads and writes the file; all get what it read, or its error,
    and their number is no part of a run.
    """

    def __init__(self, path: str | os.PathLike[str] | None, run: Mapping[str, str], ranks: Ranks = ALONE) -> None:
        self.path = None if path is None else Path(path)
        self.run, self.ranks = dict(run), ranks
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        path = self.path
        if path is not None:
            self.ranks.first("the lock of the checkpoint", lambda: self._held.enter_context(exclusive(path)))
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def write(self, network: nn.Module, best: Mapping[str, Tensor], optimizer: Optimizer, records: Records) -> None:
        """Keep what the run has come to. Raises ``StorageError``, and ``ConfigurationError`` for an odd optimiser."""
        if self.path is not None:
            self.ranks.first("the checkpoint", lambda: self._write(network, best, optimizer, records))

    def _write(self, network: nn.Module, best: Mapping[str, Tensor], optimizer: Optimizer, records: Records) -> None:
        assert self.path is not None
        tensors = {_WEIGHT + name: tensor for name, tensor in network.state_dict().items()}
        tensors |= {_BEST + name: tensor for name, tensor in best.items()}
        scalars: dict[str, Any] = {}
        for number, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                (tensors if isinstance(value, Tensor) else scalars)[f"{_STATE}{number}.{name}"] = value
        try:
            text = json.dumps({"run": self.run, "records": records, "optimizer": scalars})
        except TypeError as error:
            raise ConfigurationError(
                f"{type(optimizer).__name__} keeps what a checkpoint cannot hold ({error}); take another optimiser, or "
                "train without checkpoint"
            ) from error
        write_whole(self.path, signed(CHECKPOINT, VERSION, text, tensors))

    def kept_failure(self, tensors: Mapping[str, Tensor]) -> str:
        """Keep a batch that a step cannot be made from, and the weights, beside the checkpoint, and say so."""
        if self.ranks.size > 1:
            return "train in one process, with the same parts, to have the batch kept"
        if self.path is None:
            return "pass checkpoint to have the batch kept"
        path = self.path.with_name(self.path.name + ".failed")
        write_whole(path, signed(CHECKPOINT, VERSION, "a batch that failed", tensors))
        return f"the batch and the weights are in {path}"

    def read(
        self, network: nn.Module, optimizer: Optimizer, parse: Callable[[Records, Checkpoint], list[Record]]
    ) -> tuple[list[Record], dict[str, Tensor]]:
        """Put network and optimiser where the file says; the records so far, none without a file, and best weights.

        Without records the file still holds the weights that the run started from, and the network gets those.

        ``parse`` makes records of what the file holds, and raises ``broken`` for what are none. Raises
        ``StorageError``, and changes nothing, for a file that is broken, from a future version, or of another run.
        """
        found = self._read()
        if found is None:
            return [], {}
        text, tensors = found
        found_records, scalars = self._checked(text)
        records = parse(found_records, self)
        for name, tensor in tensors.items():
            if not _finite(tensor):
                raise self.broken(f"{name} is not finite")
        weights = network.state_dict()
        parameters = sum(len(group["params"]) for group in optimizer.param_groups)
        best = {name: tensors.pop(_BEST + name) for name in weights if _BEST + name in tensors}
        current = {name: tensors.pop(_WEIGHT + name) for name in weights if _WEIGHT + name in tensors}
        for kept in (current, best) if best else (current,):
            self._check_weights(kept, weights)
        state = self._state({**tensors, **scalars}, parameters)
        whole = {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
        self._check_step(optimizer, whole)
        with torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(current[name])
        optimizer.load_state_dict(whole)
        return records, {name: tensor.to(weights[name].device) for name, tensor in best.items()}

    def _read(self) -> tuple[str, dict[str, Tensor]] | None:
        """Text and tensors of the file; none where there is no file."""
        if self.path is None:
            return None
        if self.ranks.size == 1:
            return self._read_from(self.path) if self.path.exists() else None
        content = self.ranks.first("reading the checkpoint", self._content)
        if content is None:
            return None
        with temporary_file(content) as file:  # the disk of this rank may be another
            return self._read_from(file)

    def _content(self) -> bytes | None:
        assert self.path is not None
        if not self.path.exists():
            return None
        self._read_from(self.path)  # what is wrong with it is said once, and of the file itself
        return self.path.read_bytes()

    def _read_from(self, path: Path) -> tuple[str, dict[str, Tensor]]:
        if not path.is_file():
            raise StorageError(f"{path} is no file, so no checkpoint can be in its place; give a file's path")
        try:
            _, text, tensors = read_signed(path, self._check_kind)
        except (OSError, safetensors.SafetensorError, AlteredError) as error:
            raise self.broken(error) from error
        return text, tensors

    def _check_kind(self, metadata: Mapping[str, str]) -> int:
        if metadata.get("format") != CHECKPOINT.format:
            raise self.broken("it is a safetensors file, but not one of training")
        if metadata.get("version") != str(VERSION):
            raise StorageError(
                f"{self.path} has format version {metadata.get('version')}, this snnconv reads {VERSION}: use the "
                "snnconv that wrote it, or delete it"
            )
        return VERSION

    def _checked(self, text: str) -> tuple[Records, dict[str, Any]]:
        try:
            found = json.loads(text)
            run, records, scalars = (found[name] for name in ("run", "records", "optimizer"))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise self.broken(error) from error
        listed = isinstance(records, list) and all(isinstance(record, dict) for record in records)
        if not (listed and isinstance(run, dict) and isinstance(scalars, dict)):
            raise self.broken("it lacks its run or its records")
        differing = [name for name, text in self.run.items() if run.get(name) != text]
        if differing:
            raise StorageError(
                f"{self.path} is of a training with another {' and another '.join(differing)}, and cannot go on as "
                "this one; take another path, or delete the file"
            )
        return records, scalars

    def _check_weights(self, found: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
        for name, wanted in weights.items():
            if name not in found:
                raise self.broken(f"it lacks {name}")
            if _form(found[name]) != _form(wanted):
                raise self.broken(f"{name} is {_form(found[name])}, the network's is {_form(wanted)}")

    def _state(self, values: Mapping[str, Any], parameters: int) -> dict[int, dict[str, Any]]:
        """What the optimiser keeps of every parameter: tensors of shapes of its own choice, and numbers."""
        state: dict[int, dict[str, Any]] = {}
        for key, value in values.items():
            start, number, name = (*key.split(".", 2), "", "")[:3]
            if start + "." != _STATE or not name or not number.isdecimal() or int(number) >= parameters:
                raise self.broken(f"it has {key}")
            if not isinstance(value, (Tensor, bool, int, float, type(None))):
                raise self.broken(f"{key} is no number")
            state.setdefault(int(number), {})[name] = value
        return state

    def _check_step(self, optimizer: Optimizer, state: dict[str, Any]) -> None:
        """Raise unless ``optimizer`` can go on from ``state``: a copy of it makes a step, without gradients."""
        trial = copy.deepcopy(optimizer)
        try:
            trial.load_state_dict(copy.deepcopy(state))
            for group in trial.param_groups:
                for parameter in group["params"]:
                    parameter.grad = torch.zeros_like(parameter)
            trial.step(lambda: 0.0)
        except Exception as error:  # whatever an optimiser raises without what it keeps
            reason = f"{type(error).__name__} {error}"
            raise self.broken(f"{type(optimizer).__name__} cannot go on from its state in it: {reason}") from error

    def broken(self, why: object) -> StorageError:
        """The error of a file that cannot be used."""
        found = None if self.path is None else kind_of(self.path)
        if found not in (None, CHECKPOINT):
            why = f"it holds {found.name}"
        return StorageError(f"{self.path} is no checkpoint: {why}; delete it or take another path, and train again")


def _form(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _finite(values: Tensor) -> bool:
    return bool(values.isfinite().all())


def is_number(value: object) -> bool:
    """Whether a record's value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def numbers_of(records: Records, file: Checkpoint, *names: str) -> list[tuple[float, ...]]:
    """The numbers called ``names`` of every record; raises ``StorageError`` for a record that lacks one."""
    for number, record in enumerate(records):
        if not all(is_number(record.get(name)) for name in names):
            raise file.broken(f"the record of epoch {number + 1} lacks a number")
    return [tuple(float(record[name]) for name in names) for record in records]
