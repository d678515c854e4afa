"""Conversions of one model into many codes: it is captured and calibrated once a process, whatever the codes are."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from torch import nn

from coding import Pipeline
from coding.plan import as_plan
from snnconv import SpikingNetwork
from snnconv.assembly import Calibrated, Options, assemble, calibrate

_CALIBRATED: dict[Hashable, Calibrated] = {}


def converted(
    key: Hashable,
    make: Callable[[], tuple[nn.Module, Any]],
    *,
    coding: Any = "few-spike",
    input: Any = None,
    schedule: Any = None,
    normalization: Any = "channel",
    negative: Any = None,
    **options: Any,
) -> SpikingNetwork:
    """What ``snnconv.convert`` makes of a model and its calibration, which ``make`` gives and ``key`` names.

    The network is new, and a test may change its scales and shifts; its constants and samples are those of all
    networks of ``key``.
    """
    plan = as_plan(coding, input, schedule)
    setting = key, normalization, negative, isinstance(plan.schedule, Pipeline), plan.input.spiking
    if setting not in _CALIBRATED:
        model, calibration = make()
        _CALIBRATED[setting] = calibrate(model, calibration, normalization, None, plan, negative)
    return assemble(_CALIBRATED[setting], plan, Options(**options))
