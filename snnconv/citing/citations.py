"""citations(): the papers of the methods that a network uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from snnconv.citing.bibliography import PUBLICATIONS, Publication
from snnconv.errors import ConfigurationError
from snnconv.spiking.base import NetworkBase
from snnconv.version import __version__

#: What the library itself is cited as.
_LIBRARY = Publication(
    "misc",
    {
        "author": "{The snnconv authors}",
        "title": "snnconv: trained {PyTorch} networks as spiking neural networks",
        "year": "2026",
        "note": f"Version {__version__}",
    },
)


@dataclass(frozen=True)
class Citations:
    """Papers, and for what to cite them. Prints as BibTeX, whose comments say for what.

    Attributes:
        reasons: The methods that are from a paper, by its BibTeX key, in order of use; "snnconv" is the library.
    """

    reasons: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        entries = []
        for key, methods in self.reasons.items():
            entry = _LIBRARY if key == "snnconv" else PUBLICATIONS[key]
            entries.append(f"% {', '.join(methods)}\n{entry.bibtex(key)}")
        return "\n\n".join(entries)


def citations(network: NetworkBase) -> Citations:
    """The papers of the methods that a network uses, as BibTeX.

    Args:
        network: A converted network, or one that learned.

    Returns:
        The library, then the papers of codes, neurons, schedule, scales and corrections, each once.

    Raises:
        ConfigurationError: A code or neuron of your own names a paper that the bibliography does not hold.

    Example:
        >>> print(snnconv.citations(snn))
    """
    found: dict[str, list[str]] = {"snnconv": ["the conversion and its simulation"]}
    for key, method in _used(network):
        if key not in PUBLICATIONS:
            raise ConfigurationError(
                f"{method} names the paper {key!r}, which is none of {', '.join(sorted(PUBLICATIONS))}: leave it "
                "out of 'papers', and cite it yourself"
            )
        methods = found.setdefault(key, [])
        if method not in methods:
            methods.append(method)
    return Citations({key: tuple(methods) for key, methods in found.items()})


def _used(network: NetworkBase) -> Iterator[tuple[str, str]]:
    """Every method of the network, with the key of the paper that it is from."""
    plan, populations = network.plan, list(network.populations.values())
    for population in populations:
        for key in population.code.papers:
            yield key, f"{population.code.name} code"
        for key in getattr(population.neuron, "papers", ()):  # neurons of others need not name any
            yield key, f"{type(population.neuron).__name__} neurons"
    given = plan.input.code or plan.input
    for key in given.papers:
        yield key, f"{given.name} input"
    for key in plan.schedule.papers:
        yield key, "early firing"
    if any(population.scale.numel() > 1 for population in populations):
        yield "kim2020spikingyolo", "channel-wise normalisation"
    if any(bool(population.shift.any()) for population in populations):
        yield "li2021calibration", "bias correction"
    if network.tuned:
        yield "kim2020antlr", "tuning by the spikes' activations and times"
