"""preflight(): what every operation of a model would be in a spiking network, and every reason why one cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.export import ExportedProgram

from snnconv.capturing import captured
from snnconv.data.batches import as_inputs
from snnconv.problems import Preflight, UnsupportedModelError


def preflight(
    model: nn.Module | ExportedProgram,
    example: Tensor | Sequence[Tensor],
    *,
    constants: Mapping[str, Tensor] | None = None,
) -> Preflight:
    """What each operation of ``model`` will be in a spiking network, for inputs like ``example``; converts nothing.

    ``example`` is one batch of input, or a tuple of them where the model takes several; ``constants`` names arguments
    of forward that are part of the network, as for ``convert``. The model is not changed. Raises ``ModelError`` for
    weights and for a model that computes something else at every call, ``InputError`` for an example and
    ``ConfigurationError`` for constants that cannot be used.
    """
    inputs = as_inputs(example, "example")
    try:
        return captured(model, inputs, constants=constants).report
    except UnsupportedModelError as error:
        return error.preflight
