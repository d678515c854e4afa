"""Learning through spikes: tuning of converted networks."""

from snnconv.learning.shift_and_flip import ShiftAndFlip as ShiftAndFlip
from snnconv.learning.tuning import TuningLog as TuningLog
from snnconv.learning.tuning import tune as tune
