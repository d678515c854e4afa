"""Object detection: networks that find objects in images, and what makes boxes of their outputs."""

from snnconv.detection.darknet import DarknetNetwork as DarknetNetwork
from snnconv.detection.darknet import load_darknet as load_darknet
from snnconv.detection.heads import Head as Head
from snnconv.detection.heads import RegionHead as RegionHead
from snnconv.detection.heads import YoloHead as YoloHead
