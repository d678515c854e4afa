"""Conversions of one model into many codes: it is captured and calibrated once a process, whatever the codes are."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from torch import nn

from coding.plan import as_plan
from snnconv import SpikingNetwork
from snnconv.calibration.assembly import Calibrator, assemble
from snnconv.calibration.options import Options

_CALIBRATORS: dict[Hashable, Calibrator] = {}


def converted(
    key: Hashable,
    make: Callable[[], tuple[nn.Module, Any]],
    *,
    coding: Any = "few-spike",
    input: Any = None,
    schedule: Any = None,
    **options: Any,
) -> SpikingNetwork:
    """What ``snnconv.convert`` makes of a model and its calibration, which ``make`` gives and ``key`` names.

    The network is new, and a test may change its scales and shifts; its constants and samples are those of all
    networks of ``key``.
    """
    if key not in _CALIBRATORS:
        _CALIBRATORS[key] = Calibrator(*make(), None)
    plan, chosen = as_plan(coding, input, schedule), Options(**options)
    return assemble(_CALIBRATORS[key].calibrated(plan, chosen), plan, chosen)
