"""Data: what a batch is, and the small data set that ships with a dependency."""

from snnconv.data.digits import Digits as Digits
from snnconv.data.digits import DigitsCNN as DigitsCNN
from snnconv.data.digits import load_digits as load_digits
from snnconv.data.digits import train_digits_cnn as train_digits_cnn
