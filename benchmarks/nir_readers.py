"""NIR graphs in every installed reader, and modules of other libraries: spikes that differ from those of the clock."""

from __future__ import annotations

import functools
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import snnconv
from benchmarks.peer_imports import PeerMissing, import_peer, peer_version
from benchmarks.results import note, publish
from coding import Concurrent, Rate
from hw_export import interop, nir
from hw_export.nir.profiles import ProfileName
from neurons import IntegrateFire
from snnconv import SpikingNetwork
from snnconv.data import load_digits
from snnconv.errors import ConfigurationError

HEAD = ("reader", "version", "profile", "network", "spikes", "spikes that differ")
_TRAINED = 300


@dataclass(frozen=True)
class Reader:
    """``read`` makes a module of a file for ``samples`` of a network with ``reset``; it is called step by step."""

    name: str
    profile: ProfileName | None
    read: Callable[[Path, int, str], nn.Module]
    keeps_state: bool = False

    def rasters(self, path: Path, x: Tensor, steps: int, reset: str = "zero") -> tuple[Tensor, dict[str, Tensor]]:
        """What the module returns at every step, and spikes ``[T, N, ...]`` of every population, by name."""
        module, fired = self.read(path, len(x), reset), defaultdict(list)
        for name, (node, shape) in populations(path).items():

            def keep(_: Any, __: Any, result: Any, name: str = name, shape: tuple[int, ...] = shape) -> None:
                spikes = result[0] if isinstance(result, tuple) else result
                fired[name].append(spikes.detach().reshape(-1, *shape))

            module.get_submodule(node).register_forward_hook(keep)
        state, returned = None, []
        with torch.no_grad():
            for _ in range(steps):
                current, state = module(x) if self.keeps_state else module(x, state)
                returned.append(current)
        return torch.stack(returned), {name: torch.stack(each) for name, each in fired.items()}


def populations(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Node and shape of every population in a file of ours."""
    graph = import_peer("nir").read(path)
    return {
        node.metadata["name"]: (name, tuple(node.metadata["shape"]))
        for name, node in graph.nodes.items()
        if hasattr(node, "v_threshold")
    }


def _nirtorch(path: Path, samples: int, reset: str) -> nn.Module:
    read: nn.Module = import_peer("nirtorch").nir_to_torch(import_peer("nir").read(path), nir.node_map())
    return read


def _norse(path: Path, samples: int, reset: str) -> nn.Module:
    read: nn.Module = import_peer("norse.torch").from_nir(import_peer("nir").read(path))
    return read


def _snntorch(path: Path, samples: int, reset: str) -> nn.Module:
    read: nn.Module = import_peer("snntorch.import_nir").import_from_nir(import_peer("nir").read(path))
    return read


def _spikingjelly(path: Path, samples: int, reset: str) -> nn.Module:
    exchange = import_peer("spikingjelly.activation_based.nir_exchange.from_nir")
    read: nn.Module = exchange.import_from_nir(path)
    return read


def _sinabs(path: Path, samples: int, reset: str) -> nn.Module:
    activation = import_peer("sinabs.activation")
    resets = {"zero": activation.MembraneReset(), "subtract": activation.MembraneSubtract(subtract_value=1.0)}
    read: nn.Module = import_peer("sinabs.nir").from_nir(import_peer("nir").read(path), batch_size=samples)
    for layer in read.modules():
        if isinstance(layer, import_peer("sinabs.layers").IAFSqueeze):
            layer.spike_fn, layer.reset_fn, layer.min_v_mem = activation.SingleSpike, resets[reset], None
    return read


READERS = (
    Reader("nirtorch", None, _nirtorch),
    Reader("norse", "norse", _norse),
    Reader("snntorch", "snntorch", _snntorch),
    Reader("spikingjelly", "spikingjelly", _spikingjelly),
    Reader("sinabs", "sinabs", _sinabs, keeps_state=True),
)


MODULES = {"norse": interop.to_norse, "snntorch": interop.to_snntorch, "sinabs": interop.to_sinabs}


class _Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2)
        self.linear1, self.linear2 = nn.Linear(72, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        scores: Tensor = self.linear2(functional.relu(self.linear1(features.flatten(1))))
        return scores


class _Shortcut(_Plain):
    def __init__(self) -> None:
        super().__init__()
        self.conv3, self.conv4 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        before = functional.relu(self.conv1(x))
        around = functional.relu(self.conv4(functional.relu(self.conv3(before))) + before)
        features = functional.relu(self.conv2(around))
        scores: Tensor = self.linear2(functional.relu(self.linear1(features.flatten(1))))
        return scores


def _networks(steps: int) -> dict[str, tuple[str, SpikingNetwork]]:
    """Networks that learned the digits of scikit-learn, with both resets, and their resets."""
    images, classes = load_digits().train
    found = {}
    for name, build in {"digits": _Plain, "digits with a shortcut": _Shortcut}.items():
        torch.manual_seed(0)
        model = build()
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
        for step in range(_TRAINED):
            part = torch.arange(step * 100, (step + 1) * 100) % len(images)
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images[part]), classes[part])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        for reset in ("zero", "subtract"):
            neuron = functools.partial(IntegrateFire, reset=reset, initial_potential=0.0)
            coding, schedule = Rate(steps), Concurrent(steps)
            network = snnconv.convert(model.eval(), images[:200], coding=coding, schedule=schedule, neuron=neuron)
            found[f"{name}, reset {'to zero' if reset == 'zero' else 'by subtraction'}"] = (reset, network)
    return found


def run(images: int | None = None, steps: int = 32) -> None:
    """Publish the table ``nir_readers``: spikes of ``images`` test images (50) in every reader that is installed."""
    x, table = load_digits().test[0][: images or 50], []
    for label, (reset, network) in _networks(steps).items():
        wanted = network.run(x, simulator="clock", record=["rasters"]).rasters
        spikes = sum(int(raster.sum()) for raster in wanted.values())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "network.nir")
            nir.export(network, path)
            own = nir.load(path).run(x)[1]
            table.append(["snnconv", snnconv.__version__, "", label, spikes, differing(own, wanted)])
            for reader in READERS:
                row: list[Any] = [reader.name, "", reader.profile or "", label, spikes]
                try:
                    row[1] = import_peer(reader.name) and peer_version(reader.name)
                    nir.export(network, path, profile=reader.profile)
                    row.append(differing(reader.rasters(path, x, steps, reset)[1], wanted))
                except PeerMissing as missing:
                    note(str(missing))
                    continue
                except ConfigurationError:
                    row.append("refused")
                table.append(row)
        for library, make in MODULES.items():
            try:
                import_peer(library)
            except PeerMissing as missing:
                note(str(missing))
                continue
            fired = differing(make(network).run(x)[1], wanted)
            table.append([f"interop.to_{library}", peer_version(library), "", label, spikes, fired])
    publish("nir_readers", f"NIR graphs in their readers, {len(x)} images, {steps} steps", HEAD, table)


def differing(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> int:
    """Places of all rasters at which a spike is missing or too many."""
    return sum(int((found[name].to(raster.dtype) != raster).sum()) for name, raster in wanted.items())
