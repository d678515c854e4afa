"""Object detection: networks that find objects in images, before and after their conversion."""

from snnconv.detection.boxes import Detections as Detections
from snnconv.detection.darknet import DarknetNetwork as DarknetNetwork
from snnconv.detection.darknet import load_darknet as load_darknet
from snnconv.detection.datasets import BoxDataset as BoxDataset
from snnconv.detection.datasets import read_coco as read_coco
from snnconv.detection.datasets import read_names as read_names
from snnconv.detection.datasets import read_voc as read_voc
from snnconv.detection.datasets import read_yolo_folder as read_yolo_folder
from snnconv.detection.detector import Detector as Detector
from snnconv.detection.detector import load_detector as load_detector
from snnconv.detection.drawing import draw as draw
from snnconv.detection.drawing import side_by_side as side_by_side
from snnconv.detection.evaluation import DetectionEvaluation as DetectionEvaluation
from snnconv.detection.evaluation import evaluate as evaluate
from snnconv.detection.ground_truth import Truth as Truth
from snnconv.detection.heads import Head as Head
from snnconv.detection.heads import RegionHead as RegionHead
from snnconv.detection.heads import YoloHead as YoloHead
from snnconv.detection.images import Preprocessing as Preprocessing
from snnconv.detection.images import read_image as read_image
from snnconv.detection.judge import DetectionJudge as DetectionJudge
from snnconv.detection.precision import Precision as Precision
from snnconv.detection.precision import mean_average_precision as mean_average_precision
