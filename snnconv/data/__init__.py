"""Data: what a batch is, the small data set that ships with a dependency, event recordings, and citation graphs."""

from snnconv.data.digits import Digits as Digits
from snnconv.data.digits import DigitsCNN as DigitsCNN
from snnconv.data.digits import load_digits as load_digits
from snnconv.data.digits import train_digits_cnn as train_digits_cnn
from snnconv.data.events import Events as Events
from snnconv.data.events import read_events as read_events
from snnconv.data.planetoid import CitationGraph as CitationGraph
from snnconv.data.planetoid import load_planetoid as load_planetoid
from snnconv.data.planetoid import normalized_adjacency as normalized_adjacency
