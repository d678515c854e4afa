"""What the tests of sweeps measure."""

from __future__ import annotations

from torch import Tensor, nn

from coding import FewSpike, Rate

CODINGS = {"rate 4": Rate(4), "rate 8": Rate(8), "few-spike 4": FewSpike(4, base=1.9)}

Case = tuple[nn.Module, Tensor, tuple[Tensor, Tensor]]
