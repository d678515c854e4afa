"""What a report is made of: a network, what was measured of it, and what the user added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snnconv.detection.evaluation import DetectionEvaluation
from snnconv.metrics.costs import Costs
from snnconv.metrics.evaluation_result import Evaluation
from snnconv.network import SpikingNetwork
from snnconv.reporting.detected import ComparedPicture
from snnconv.reporting.markup import Markup
from snnconv.reporting.measuring import CloseLook
from snnconv.sweeps.table import Sweep


@dataclass(frozen=True)
class Contents:
    """All that a report shows; what is ``None`` or empty has no part in it.

    ``costs`` is an ``Evaluation``, a ``DetectionEvaluation`` or bare costs, ``export`` the figures of an export as
    plain data, ``names`` those of the classes.
    """

    title: str
    network: SpikingNetwork
    costs: Costs | None = None
    look: CloseLook | None = None
    pictures: Sequence[ComparedPicture] = ()
    sweep: Sweep | None = None
    export: Mapping[str, Any] | None = None
    names: Sequence[str] = ()

    @property
    def evaluation(self) -> Evaluation | None:
        """Decisions or values on a data set, if they were judged."""
        return self.costs if isinstance(self.costs, Evaluation) else None

    @property
    def precision(self) -> DetectionEvaluation | None:
        """Mean average precision of a detector, if it was measured."""
        return self.costs if isinstance(self.costs, DetectionEvaluation) else None

    def name_of(self, label: int | None) -> str:
        """What the class of this number is called; "nothing" for none."""
        if label is None or label < 0:
            return "nothing"
        return str(self.names[label]) if label < len(self.names) else str(label)


@dataclass(frozen=True)
class Part:
    """A part of a report: its anchor, its heading, a sentence on what to see, and its content as markup."""

    anchor: str
    heading: str
    lead: str
    content: Markup
