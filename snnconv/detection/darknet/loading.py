"""A detector from darknet's two files."""

from __future__ import annotations

import os

from snnconv.detection.darknet.config import read_config
from snnconv.detection.darknet.network import DarknetNetwork
from snnconv.detection.darknet.weights import load_weights


def load_darknet(
    config: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> DarknetNetwork:
    """The detector in darknet's files, in eval mode; without ``weights`` they are random, fixed by ``seed``.

    ``size`` replaces (height, width) of the input. Raises ``StorageError`` for files that cannot be read or do not
    belong together, ``ConfigurationError`` for a description that is malformed or not supported, and for a size that
    the network cannot take.
    """
    # A description of a few bytes takes no memory before a file is as large as it says.
    network = DarknetNetwork(read_config(config), size=size, seed=seed if weights is None else None)
    if weights is not None:
        load_weights(network, weights)
    return network
