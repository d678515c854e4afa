"""Errors of populations as sums, which parts of the data are merged by."""

from __future__ import annotations

from dataclasses import dataclass, fields

from snnconv.errors import InputError


@dataclass(frozen=True)
class PopulationError:
    """Errors of one population: ``relative`` is |decoded - activation| / |activation| (2-norms over all samples).

    ``bias`` is the mean error in units of the mean activation, ``saturated`` the share of activations beyond what the
    code carries, ``spurious`` the share of inactive neurons that fired all the same. ``own`` is the relative error
    against the activation of what the population received, errors of those before it included: what it adds itself.
    A population is ``dead`` where its activation is 0 for all samples: then there is nothing to be relative to, and
    errors are 0 or very large.
    """

    name: str
    relative: float
    bias: float
    saturated: float
    spurious: float
    own: float
    dead: bool = False


@dataclass(frozen=True)
class ErrorSums:
    """Sums over activations: squared errors, squares, errors, sizes, and counts that shares are made of.

    ``own2`` sums squared errors against the activations of what the population received, whose squares are
    ``received2``: ``cut2`` where these exceed what the code carries, ``above2`` where the population says more.
    """

    error2: float = 0.0
    norm2: float = 0.0
    difference: float = 0.0
    magnitude: float = 0.0
    saturated: int = 0
    spurious: int = 0
    inactive: int = 0
    total: int = 0
    own2: float = 0.0
    received2: float = 0.0
    cut2: float = 0.0
    above2: float = 0.0

    def merge(self, other: ErrorSums) -> ErrorSums:
        """Both together."""
        return ErrorSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def error(self, name: str) -> PopulationError:
        """The errors of the population that reports call ``name``."""
        return PopulationError(
            name=name,
            relative=self.relative,
            bias=self.difference / max(self.magnitude, 1e-300),
            saturated=self.saturated / self.total,
            spurious=self.spurious / max(self.inactive, 1),
            own=self.own,
            dead=self.norm2 == 0.0,
        )

    @property
    def own(self) -> float:
        """The 2-norm of a population's own errors relative to that of the activations of what it received."""
        return float((self.own2 / max(self.received2, 1e-300)) ** 0.5)

    @property
    def relative(self) -> float:
        """The 2-norm of the errors relative to that of the activations."""
        return float((self.error2 / max(self.norm2, 1e-300)) ** 0.5)


@dataclass(frozen=True)
class VerificationSums:
    """What a verification is made of: sums of every population by name, and of the output."""

    samples: int
    populations: dict[str, ErrorSums]
    output: ErrorSums

    def merge(self, other: VerificationSums) -> VerificationSums:
        """Both together. Raises ``InputError`` where populations differ."""
        if [*self.populations] != [*other.populations]:
            raise InputError("verifications of networks with different populations cannot be merged")
        populations = {name: sums.merge(other.populations[name]) for name, sums in self.populations.items()}
        return VerificationSums(self.samples + other.samples, populations, self.output.merge(other.output))
