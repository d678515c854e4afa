"""Simulators of spiking networks; the clock is the reference, one time step at a time."""

from snnconv.simulators.clock import Clock as Clock
from snnconv.simulators.clock import Stop as Stop
from snnconv.simulators.run import Run as Run
from snnconv.simulators.simulate import simulate as simulate
from snnconv.simulators.stopping import Confidence as Confidence
