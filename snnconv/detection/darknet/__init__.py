"""Detectors in darknet's files: a ``.cfg`` that lists layers, and a ``.weights`` file."""

from snnconv.detection.darknet.loading import load_darknet as load_darknet
from snnconv.detection.darknet.network import DarknetNetwork as DarknetNetwork
from snnconv.detection.darknet.weights import load_weights as load_weights
from snnconv.detection.darknet.weights import save_weights as save_weights
