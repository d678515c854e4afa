"""Learning with activation- and timing-based gradients (ANTLR; Kim, Kim and Kim 2020)."""

from snnconv.learning.encoders import Encoder as Encoder
from snnconv.learning.encoders import LatencyEncoder as LatencyEncoder
from snnconv.learning.encoders import RateEncoder as RateEncoder
from snnconv.learning.layer import LayerSpikes as LayerSpikes
from snnconv.learning.layer import Spikes as Spikes
from snnconv.learning.layer import run_layer as run_layer
from snnconv.learning.losses import CountLoss as CountLoss
from snnconv.learning.losses import LatencyLoss as LatencyLoss
from snnconv.learning.losses import SpikeLoss as SpikeLoss
from snnconv.learning.losses import SpikeTrainLoss as SpikeTrainLoss
from snnconv.learning.losses import first_spikes as first_spikes
from snnconv.learning.measures import Change as Change
from snnconv.learning.measures import Measures as Measures
from snnconv.learning.measures import change as change
from snnconv.learning.measures import clamped_share as clamped_share
from snnconv.learning.measures import decide_by_count as decide_by_count
from snnconv.learning.measures import decide_by_first as decide_by_first
from snnconv.learning.network import LayeredNetwork as LayeredNetwork
from snnconv.learning.records import EpochRecord as EpochRecord
from snnconv.learning.records import LearningLog as LearningLog
from snnconv.learning.rule import GradientRule as GradientRule
from snnconv.learning.samples import EncodedSamples as EncodedSamples
from snnconv.learning.samples import EventSamples as EventSamples
from snnconv.learning.samples import SpikeSamples as SpikeSamples
from snnconv.learning.training import measure as measure
from snnconv.learning.training import train as train
