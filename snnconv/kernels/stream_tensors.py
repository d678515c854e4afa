"""What Triton's kernel is told of some steps of a population, as tensors on the device."""

from __future__ import annotations

from torch import Tensor

from coding.firing_form import GrowingThreshold
from neurons.step_form import StepForm
from snnconv.kernels.backends import launch
from snnconv.kernels.channel_tensors import ChannelTensors
from snnconv.kernels.stream_jobs import Pass

_KERNEL = "stream_steps_triton"


class StepTensors:
    """Steps of one population: its form, and shift (if there is one), inverse scale and scale, ``[channels]``."""

    def __init__(
        self, form: StepForm, axis: int | None, shift: Tensor | None, inverse_scale: Tensor, scale: Tensor
    ) -> None:
        grown = form.firing if isinstance(form.firing, GrowingThreshold) else (0.0, 0.0, 0.0, 0.0)
        self._kind = form.kind
        #: In the precision of the map: a number of Python would be a kernel's in single precision.
        self._numbers = scale.new_tensor([*grown, form.offset, form.charge, form.sent])
        self._channels = ChannelTensors(axis, shift, inverse_scale, scale)
        self._unshifted = ChannelTensors(axis, None, inverse_scale, scale)

    def ready(self, current: Tensor) -> bool:
        """Whether Triton is to take steps of a ``current`` like this."""
        return launch(_KERNEL, current) is not None

    def take(self, given: Pass) -> bool:
        """Take the steps that are ``given``; false, and none is, where Triton cannot."""
        kernel, channels = launch(_KERNEL, given.payloads), self._channels if given.shifting else self._unshifted
        return kernel is not None and kernel(given.current.device, self._kind, self._numbers, channels, given)
