"""The file of a training run: weights, state of the optimiser, and which run it is, read without pickle."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from snnconv.errors import StorageError
from snnconv.files import write_whole

FORMAT, VERSION = "snnconv training", 1
#: Beginnings of the names of weights and of the optimiser's state, and what AdamW keeps of every parameter.
_WEIGHT, _STATE = "network.", "optimizer."
_MOMENTS, _STEP = ("exp_avg", "exp_avg_sq"), "step"


class Checkpoint:
    """Where a run of training stands, in one safetensors file that is written whole or not at all.

    ``run`` says by name what two runs must have in common to have the same result. The state of random numbers is not
    kept: each step of training seeds its own. ``path=None`` is a file that is never written.
    """

    def __init__(self, path: str | os.PathLike[str] | None, run: Mapping[str, str]) -> None:
        self.path = None if path is None else Path(path)
        self.run = dict(run)

    def write(self, network: nn.Module, optimizer: AdamW, losses: list[float]) -> None:
        """Keep what the run has come to, ``losses`` being those of the epochs done. Raises ``StorageError``."""
        if self.path is None:
            return
        metadata = {
            "format": FORMAT,
            "version": str(VERSION),
            "run": json.dumps(self.run),
            "losses": json.dumps(losses),
        }
        write_whole(self.path, safetensors.torch.save(_tensors(network, optimizer), metadata))

    def read(self, network: nn.Module, optimizer: AdamW) -> list[float]:
        """Put network and optimiser where the file says, and return the losses so far; none if there is no file.

        Raises ``StorageError``, and changes nothing, for a file that is broken, from a future version, or of another
        run.
        """
        if self.path is None or not self.path.exists():
            return []
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                losses = self._losses(metadata)
                if not losses:  # the network is at its start, where the run was when the file was written
                    return []
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, safetensors.SafetensorError) as error:
            raise self._broken(error) from error
        weights = network.state_dict()
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        expected = {_WEIGHT + name: tensor for name, tensor in weights.items()}
        for number, parameter in enumerate(parameters):
            expected |= {f"{_STATE}{number}.{name}": parameter for name in _MOMENTS}
            expected[f"{_STATE}{number}.{_STEP}"] = torch.zeros(())
        self._check(tensors, expected)
        with torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(tensors[_WEIGHT + name])
        state = {
            number: {name: tensors[f"{_STATE}{number}.{name}"] for name in (*_MOMENTS, _STEP)}
            for number in range(len(parameters))
        }
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return losses

    def _losses(self, metadata: Mapping[str, str]) -> list[float]:
        if metadata.get("format") != FORMAT:
            raise self._broken("it is a safetensors file, but not one of training")
        if metadata.get("version") != str(VERSION):
            raise StorageError(
                f"{self.path} has format version {metadata.get('version')}, this snnconv reads {VERSION}: use the "
                "snnconv that wrote it, or delete it"
            )
        try:
            run, losses = json.loads(metadata["run"]), json.loads(metadata["losses"])
        except (KeyError, ValueError, RecursionError) as error:
            raise self._broken(error) from error
        if not isinstance(run, dict) or not isinstance(losses, list) or not all(map(_is_loss, losses)):
            raise self._broken("it lacks its run or its losses")
        differing = [name for name, text in self.run.items() if run.get(name) != text]
        if differing:
            raise StorageError(
                f"{self.path} is of a training with another {' and another '.join(differing)}, and cannot go on as "
                "this one; take another path, or delete the file"
            )
        return losses

    def _check(self, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
        for name in sorted(expected.keys() | tensors.keys()):
            if name not in expected or name not in tensors:
                raise self._broken(f"it {'has' if name in tensors else 'lacks'} {name}")
            wanted, found = expected[name], tensors[name]
            if wanted.shape != found.shape or wanted.dtype != found.dtype or not bool(found.isfinite().all()):
                raise self._broken(f"{name} has another shape or type, or is not finite")

    def _broken(self, why: object) -> StorageError:
        return StorageError(f"{self.path} is no checkpoint: {why}; delete it or take another path, and train again")


def _tensors(network: nn.Module, optimizer: AdamW) -> dict[str, Tensor]:
    """What a file holds, by name."""
    tensors = {_WEIGHT + name: tensor for name, tensor in network.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{_STATE}{number}.{name}": value for name, value in state.items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _is_loss(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)
