"""Readers of NIR that interpret it in a way of their own, and how neurons are written so that they run them exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from hw_export.explicit.rate import RateNetwork
from snnconv.errors import ConfigurationError

ProfileName = Literal["norse", "sinabs", "snntorch", "spikingjelly"]

#: The time step that the readers of snntorch and spikingjelly assume, in seconds.
SNNTORCH_STEP = 1e-4
#: A time constant in seconds whose leak vanishes in single precision with that step.
TIME_CONSTANT = 1e8


@dataclass(frozen=True)
class Profile:
    """What one reader takes, and how it has to be told.

    Neurons are IF nodes, or LIF nodes that do not leak; a step of ``dt`` seconds adds ``dt * r`` times the current,
    which is the current itself. ``at_threshold`` is for readers that fire where a potential reaches its threshold,
    instead of exceeding it. The other fields say what the reader can do.
    """

    name: str
    node: Literal["IF", "LIF"] = "IF"
    dt: float = 1.0
    at_threshold: bool = False
    subtracts: bool = False
    starts: bool = False
    joins: bool = True
    double: bool = False

    def check(self, found: RateNetwork) -> None:
        """Raise ``ConfigurationError`` for what this reader would run with other spikes."""
        populations = found.populations.values()
        reader = f"{self.name}'s reader of NIR"
        subtracting = [each.name for each in populations if each.reset == "subtract"]
        if subtracting and not self.subtracts:
            raise ConfigurationError(
                f"{', '.join(subtracting)}: {reader} resets to zero, not by subtraction; convert with "
                "neuron=functools.partial(IntegrateFire, reset='zero', initial_potential=0.0)"
            )
        starting = [each.name for each in populations if each.initial_potential != 0.0]
        if starting and not self.starts:
            raise ConfigurationError(
                f"{', '.join(starting)}: {reader} starts from 0, not from an initial potential; convert with "
                "neuron=functools.partial(IntegrateFire, reset=..., initial_potential=0.0)"
            )
        if not self.joins:
            for target in found.targets:
                if len(found.into(target)) > 1:
                    raise ConfigurationError(
                        f"{found.explicit.name(target)}: {reader} delivers one of several branches that meet a step "
                        "late; use another reader, or hw_export.interop"
                    )
        if found.dtype == torch.float64 and not self.double:
            raise ConfigurationError(
                f"{reader} computes in single precision, with thresholds that would no longer be exact; export "
                "network.float()"
            )


#: The graph as NIR defines it, with everything that metadata can say.
STANDARD = Profile("NIR", subtracts=True, starts=True, double=True)
PROFILES: dict[str, Profile] = {
    each.name: each
    for each in (
        Profile("norse", joins=False),
        Profile("sinabs", at_threshold=True, subtracts=True, joins=False),
        Profile("snntorch", node="LIF", dt=SNNTORCH_STEP),
        Profile("spikingjelly", dt=SNNTORCH_STEP, at_threshold=True, double=True),
    )
}


def profile_of(name: str | None) -> Profile:
    """The profile ``name``, or NIR as it is defined; raises ``ConfigurationError`` for an unknown one."""
    if name is None:
        return STANDARD
    if name not in PROFILES:
        raise ConfigurationError(f"profile must be one of {', '.join(sorted(PROFILES))}, got {name!r}")
    return PROFILES[name]
