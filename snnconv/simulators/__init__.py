"""Simulators of spiking networks: the clock, one time step at a time, and the closed form of windows."""

from snnconv.simulators.clock import Clock as Clock
from snnconv.simulators.crossbar_noise import CrossbarNoise as CrossbarNoise
from snnconv.simulators.registry import SIMULATORS as SIMULATORS
from snnconv.simulators.registry import simulate as simulate
from snnconv.simulators.registry import simulator_for as simulator_for
from snnconv.simulators.run import Run as Run
from snnconv.simulators.simulator import Simulator as Simulator
from snnconv.simulators.simulator import Stop as Stop
from snnconv.simulators.stopping import Confidence as Confidence
from snnconv.simulators.stopping import FirstSpike as FirstSpike
from snnconv.simulators.window import Window as Window
