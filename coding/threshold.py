"""The one comparison of the project: when a membrane potential reaches a threshold."""

import torch
from torch import Tensor

_TIE_TOLERANCE = {torch.float64: 2.0**-44, torch.float32: 2.0**-20, torch.bfloat16: 2.0**-6, torch.float16: 2.0**-9}


def tie_tolerance(dtype: torch.dtype) -> float:
    """Relative slack of a threshold comparison in ``dtype``.

    Scales taken from a maximum put values exactly on thresholds, where rounding would decide whether a spike is
    fired. A slack wider than the rounding error and far narrower than a level makes all simulators fire the
    same spikes.
    """
    return _TIE_TOLERANCE[dtype]


def reaches(potential: Tensor, threshold: float | Tensor, out: Tensor | None = None) -> Tensor:
    """1 where ``potential >= threshold * (1 - eps)``, else 0, in the dtype of ``potential``; any shape.

    ``out`` is storage for the result.
    """
    spikes = torch.empty_like(potential) if out is None else out
    return torch.ge(potential.detach(), threshold * (1.0 - tie_tolerance(potential.dtype)), out=spikes)
