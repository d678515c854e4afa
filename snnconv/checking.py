"""preflight(): what every operation of a model would be in a spiking network, and every reason why one cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from snnconv.capture.capturing import captured
from snnconv.capture.problems import Preflight, UnsupportedModelError
from snnconv.data.batches import batches
from snnconv.progress import PartsDone, ProgressCallback
from snnconv.surroundings import own_surroundings


@own_surroundings()
def preflight(
    model: nn.Module | ExportedProgram,
    example: Any,
    *,
    constants: Mapping[str, Tensor] | None = None,
    analog: Sequence[str] = (),
    progress: ProgressCallback | None = None,
) -> Preflight:
    """Say what each operation of ``model`` will be in a spiking network; nothing is converted.

    Args:
        model: The network, which is not changed, or an exported program.
        example: Sample input as for ``convert``: a tensor, a (inputs, targets) tuple, or an iterable of batches,
            of which the first is taken. Several inputs are a tuple inside: ``((a, b), None)``.
        constants: Arguments of forward that are part of the network, as for ``convert``.
        analog: Names of what may stay real-valued, as for ``convert``.
        progress: Called as the work comes on; what it raises ends the work (see ``Progress``).

    Returns:
        The role of every operation, and for those that stand in the way the reason and a remedy.

    Raises:
        ModelError: The weights cannot be used, or the model computes something else at every call.
        InputError: The example cannot be used.
        ConfigurationError: The constants cannot be used, or a name in ``analog`` allows nothing.

    Example:
        >>> print(snnconv.preflight(model, images[:2]))
    """
    inputs, targets = next(batches(example, "example"))
    capturing = PartsDone(progress, "capturing", None)
    try:
        report = captured(model, inputs, constants=constants, analog=analog, targets=targets).report
    except UnsupportedModelError as error:
        report = error.preflight
    capturing.more()
    capturing.end()
    return report
