"""Object detection: networks that find objects in images, and what makes boxes of their outputs."""

from snnconv.detection.augmentation import Augmentation as Augmentation
from snnconv.detection.darknet import DarknetNetwork as DarknetNetwork
from snnconv.detection.darknet import load_darknet as load_darknet
from snnconv.detection.heads import Head as Head
from snnconv.detection.heads import RegionHead as RegionHead
from snnconv.detection.heads import YoloHead as YoloHead
from snnconv.detection.shapes import SHAPE_NAMES as SHAPE_NAMES
from snnconv.detection.shapes import draw_shapes as draw_shapes
from snnconv.detection.shapes import load_shapes_detector as load_shapes_detector
from snnconv.detection.training import TrainingLog as TrainingLog
from snnconv.detection.training import train_detector as train_detector
