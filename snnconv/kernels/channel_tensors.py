"""Constants of a population's channels, as Triton's kernels take them: one of each kind for each channel."""

from __future__ import annotations

from torch import Tensor

from snnconv.kernels.layouts import turns_of


class ChannelTensors:
    """Shift (if there is one), inverse scale and scale, ``[n]`` or ``[1]``, of maps whose channels lie along ``axis``.

    They are held for ``channels``, by default as many as there are constants.
    """

    def __init__(
        self, axis: int | None, shift: Tensor | None, inverse_scale: Tensor, scale: Tensor, channels: int | None = None
    ) -> None:
        channels = len(scale) if channels is None else channels
        self._axis = axis if channels > 1 else None
        #: All of them, in this order.
        self.all = tuple(
            None if each is None else each.expand(channels).contiguous() for each in (shift, inverse_scale, scale)
        )

    def turns(self, values: Tensor) -> tuple[int, int]:
        """How many ``values`` of a channel lie behind each other, and of how many channels in turn."""
        return (1, 1) if self._axis is None else turns_of(values, self._axis)
