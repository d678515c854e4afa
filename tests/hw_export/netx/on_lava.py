"""A program: ``python on_lava.py RUNTIME FILE INPUTS RESULT`` runs a file of netx on lava-dl, and writes what it did.

INPUTS is an array of integers ``[N, ...]`` as the first layer takes them, RESULT gets the spikes of every layer,
``layer0 [N, T, ...]`` and so on, and ``membranes [N, T, ...]`` of the last one after every step, in units of weights.
"""

from __future__ import annotations

import importlib
import sys
import warnings

import h5py
import numpy as np


def main() -> None:
    warnings.simplefilter("ignore")
    runtime, file, inputs, result = sys.argv[1:]
    sys.path.insert(0, runtime)
    importlib.import_module("lava_runtime.compatibility").load_lava()
    from lava.lib.dl import netx
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    with h5py.File(file) as opened:
        steps = int(opened["snnconv_netx/steps"][()])
    network = netx.hdf5.Network(net_config=file, input_message_bits=24, reset_interval=steps, reset_offset=1)
    values = np.load(inputs)
    samples, depth = len(values), len(network.layers)
    total = samples * steps + depth
    given = np.zeros((*values.shape[:0:-1], total), int)  # [W, H, C, T]
    given[..., : samples * steps] = np.repeat(values, steps, 0).T
    source = Source(data=given)
    source.s_out.connect(network.inp)
    sinks = []
    for layer in network.layers:
        sinks.append(Sink(shape=layer.neuron.s_out.shape, buffer=total))
        layer.neuron.s_out.connect(sinks[-1].a_in)
    membranes = []
    for _ in range(total):
        source.run(condition=RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        membranes.append(network.layers[-1].neuron.v.get() // 64)
    found = {}
    for number, sink in enumerate(sinks):
        spikes = sink.data.get()[..., number + 1 : number + 1 + samples * steps].T  # [T, C, H, W]
        found[f"layer{number}"] = spikes.reshape(samples, steps, *spikes.shape[1:])
    last = np.stack([each.T for each in membranes[depth:]])
    source.stop()
    np.savez(result, membranes=last.reshape(samples, steps, *last.shape[1:]), **found)


if __name__ == "__main__":
    main()
