"""The part on energy: where it goes under each model, beside the original, with the constants of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snnconv.metrics.costs import Costs
from snnconv.metrics.energy_models import PARTS, SYNAPTIC, constants, energy_parts
from snnconv.reporting.charts import legend
from snnconv.reporting.contents import Contents, Part
from snnconv.reporting.markup import Markup, joined, number, tag
from snnconv.reporting.wording import capital, count, decimal, joules, ratio, share
from snnconv.text import at_most

#: Classes of colours of what takes energy; what the original has, too, is grey.
_KINDS = dict(zip(PARTS, ("plain", "faint", "one", "three"), strict=True))


def energy_part(contents: Contents) -> Part | None:
    """A stacked bar for both networks under every model; ``None`` where nothing was measured."""
    costs = contents.costs
    if costs is None:
        return None
    beside = "original" if not contents.network.learned else "without spikes"
    models = {model: energy_parts(costs.activity, model) for model in ("E2", "E3")}
    drawn = [_model(model, *both, beside, costs.synops_are_bound) for model, both in models.items()]
    names = {name for both in models.values() for parts in both for name, joules in parts.items() if joules}
    keys = legend([(kind, name) for name, kind in _KINDS.items() if name in names])
    content = joined([keys, *drawn, _normalized(costs), _sources(costs)])
    lead = "Energies of one sample, by published models and not of a chip; bars of one model share their scale."
    return Part("energy", "Where the energy goes", lead, content)


def _model(name: str, spiking: Mapping[str, float], original: Mapping[str, float], beside: str, bound: bool) -> Markup:
    totals = [sum(spiking.values()), sum(original.values())]
    scale = max(totals) or 1.0
    bars = [
        _bar(label, parts, total, scale, is_bound)
        for label, parts, total, is_bound in zip(
            ("spiking", beside), (spiking, original), totals, (bound, False), strict=True
        )
    ]
    takes = tag("span", f" spiking takes {at_most(ratio(*totals), bound)} the energy", class_="quiet")
    head = tag("h3", f"Model {name}", takes)
    return tag("div", head, *bars, tag("p", _constants_text(name), class_="note"), class_="model")


def _bar(label: str, parts: Mapping[str, float], total: float, scale: float, bound: bool) -> Markup:
    left, pieces = 0.0, []
    told = {part: at_most(joules(value), bound and part == SYNAPTIC) for part, value in parts.items()}
    for part, value in parts.items():
        width = 100.0 * value / scale
        if value > 0:
            pieces.append(
                tag(
                    "rect",
                    tag("title", f"{part}: {told[part]}"),
                    x=f"{number(left)}%",
                    width=f"{number(max(width, 0.15))}%",
                    y="0",
                    height="100%",
                    class_=f"bar {_KINDS[part]}",
                )
            )
        left += width
    spent = [f"{part} {told[part]} ({share(value / total, 0)})" for part, value in parts.items() if value > 0]
    whole = at_most(joules(total), bound)
    says = f"{label}: {whole}, of which {', '.join(spent) or 'nothing'}"
    drawn = tag("svg", tag("title", says), *pieces, role="img", aria_label=says, class_="stack")
    return tag(
        "div",
        tag("p", label, class_="who"),
        tag("div", drawn),
        tag("p", whole, class_="sum"),
        class_="row",
    )


def _constants_text(model: str) -> str:
    """The constants of a model in a line."""
    found = constants()[model]
    told = [
        f"{name.removesuffix('_pJ').replace('_', ' ')} {value} pJ" for name, value in found.items() if name != "source"
    ]
    assumed = constants().get(f"{model} of a pair at a product")
    more = ""
    if assumed is not None:
        more = (
            f" A pair of spikes at a product: {assumed['memory_accesses']} accesses and {assumed['additions']} addition"
        )
        more += f" ({assumed['source']})."
    return f"Constants: {', '.join(told)}; {found['source']}.{more}"


def _normalized(costs: Costs) -> Markup | None:
    """E1, where a rate-coded run was given to divide by."""
    if costs.energy.e1 is None:
        return None
    weights = constants()["E1"]
    items = [
        tag(
            "li",
            f"{chip}: {decimal(value)} of what rate coding takes "
            f"(spikes weigh {weights[chip]['dynamic']}, latency {weights[chip]['static']})",
        )
        for chip, value in costs.energy.e1.items()
    ]
    head = tag("h3", "Model E1", tag("span", " relative to a rate-coded run", class_="quiet"))
    return tag("div", head, tag("ul", *items), class_="model")


def _sources(costs: Costs) -> Markup | None:
    """Whose spikes cause most synaptic operations."""
    found = sorted(costs.synops_by_source.items(), key=lambda item: item[1], reverse=True)[:5]
    if not costs.synops or not found:
        return None
    told: Sequence[str] = [f"{name} ({share(synops / costs.synops, 0)})" for name, synops in found if synops > 0]
    operations = at_most(count(costs.synops), costs.synops_are_bound)
    real = costs.activity.input_macs
    again = ", which comes anew at every time step," if costs.spikes_by_step is not None else ""
    given = f" The real-valued input{again} takes {count(real)} multiply-accumulates." if real else ""
    text = f"{operations} synaptic operations; most are caused by spikes of {', '.join(told)}.{given}"
    return tag("p", capital(text))
