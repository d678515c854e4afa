"""Reports: whole HTML that loads nothing, with the parts that apply; how they look is seen in a browser."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

import snnconv
from coding import FewSpike, Rate
from snnconv import ConfigurationError, InputError, StorageError
from snnconv.reporting.attention import attention_maps
from snnconv.reporting.charts import linear, logarithmic
from snnconv.reporting.markup import Markup, tag
from snnconv.reporting.populations import MOST_ROWS
from snnconv.reporting.trains import ChosenTrains
from snnconv.simulators import simulator_for
from tests.support.conversion import converted
from tests.support.networks import draw, make, network_of, zoo
from tests.support.reports import HOSTILE, KINDS, detectors, report_of
from tests.support.transformers import TOKENS, WIDTH, Block, transformer

MEGABYTE = 10**6


class PageReader(HTMLParser):
    """Elements of a page that all end where they should, with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len({key for key, _ in attributes}) == len(attributes)
        self.found.append((name, {key: value or "" for key, value in attributes}))
        if name not in ("meta", "br", "input", "link"):
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for each, attributes in self.found if each == name]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_report_is_whole_html_with_the_parts_that_apply(kind: str) -> None:
    page = PageReader(report_of(kind).html)
    assert {each["id"] for each in page.all("section")} == KINDS[kind][1]
    headings = [int(name[1]) for name, _ in page.found if re.fullmatch("h[1-6]", name)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    identities = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(set(identities)) == len(identities)
    assert {each["href"][1:] for each in page.all("a")} <= set(identities)
    assert len(report_of(kind).summary) == 3 and all(each.endswith(".") for each in report_of(kind).summary)
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(page.text))


def test_a_report_loads_nothing_and_is_small(kind: str) -> None:
    report = report_of(kind)
    assert "://" not in report.html and len(report.html.encode()) < 2 * MEGABYTE
    page = PageReader(report.html)
    addresses = [each[key] for _, each in page.found for key in ("href", "src", "xlink:href") if key in each]
    assert all(address.startswith(("#", "data:image/jpeg;base64,")) for address in addresses)
    policies = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'")
    assert not re.search(r"@import|url\(|fetch\(", report.html)


def test_every_picture_says_what_it_shows(kind: str) -> None:
    page = PageReader(report_of(kind).html)
    shown = [attributes for _, attributes in page.found if attributes.get("role") == "img"]
    assert all(len(each["aria-label"]) > 10 for each in shown)
    drawn = [each for each in page.all("svg") if each.get("role") != "img"]
    assert all(each.get("aria-hidden") == "true" for each in drawn), "what holds it says what it shows"


def test_names_of_users_are_text() -> None:
    html = report_of("stream").html
    page = PageReader(html)
    assert HOSTILE not in html and len(page.all("script")) == 1
    text = " ".join(page.text)
    assert f"Deep {HOSTILE}" in text, "the title"
    decided = {name for name in (HOSTILE, "dog's", "<i>", "ü") if f"was decided to be {name}" in text}
    assert decided
    assert [each for each in page.all("option")] and text.count(HOSTILE) > 4


def test_a_report_is_the_same_again() -> None:
    _, x = make("deep")
    first, second = (snnconv.report(network_of("deep"), x[:5]) for _ in range(2))
    assert first.html == second.html and str(first) == "\n".join(first.summary)


def test_figures_are_those_of_evaluate_and_verify() -> None:
    model, x = make("deep")
    with torch.no_grad():
        data = (x, model(x).argmax(1))
    network = network_of("deep")
    found, verification = snnconv.evaluate(network, data, reference=model), snnconv.verify(network, x)
    report = snnconv.report(network, data, reference=model)
    assert report.summary[0].startswith(
        f"The spiking network is right in {found.accuracy:.1f} % of 40 samples, the original in 100.0 %"
    )
    assert f"{found.spikes_per_neuron:.2f} spikes per neuron" in report.summary[1]
    assert report.summary[2] == f"On 40 samples {verification.reading.text}."
    text = " ".join(PageReader(report.html).text)
    for error in verification.populations:
        assert f"{100 * error.own:.2f} %" in text and f"{100 * error.relative:.2f} %" in text
    assert snnconv.report(network, data, reference=model, evaluation=found).html == report.html


def test_data_that_can_be_read_only_once_are_measured_whole() -> None:
    _, x = make("deep")
    network = network_of("deep")
    assert "of 40 samples" in snnconv.report(network, iter([x[:30], x[30:]])).summary[0]
    with pytest.raises(InputError, match="not one batch"):
        snnconv.report(network, iter([]))


def test_a_table_of_very_many_populations_holds_the_worst_and_says_so() -> None:
    page = PageReader(report_of("huge").html)
    rows = len(page.all("tr")) - 1
    assert rows == MOST_ROWS
    text = " ".join(page.text)
    assert "The 200 of 10,000 populations with the largest errors of their own" in text
    places = [int(each) for each in re.findall(r'<th scope="row">layers\.(\d+)\.', report_of("huge").html)]
    assert {place % 97 for place in places} <= {95, 96}


def test_a_network_that_never_fires_says_so() -> None:
    assert "No neuron of the populations fired" in report_of("silent").html


def test_what_is_not_known_is_said_in_the_summary() -> None:
    assert "no data were given" in report_of("from file").summary[0]
    assert "learned through its own spikes" in report_of("learned").summary[0]
    assert "there were no targets" in report_of("one sample").summary[0]
    assert "deviate from the original's by" in report_of("values").summary[0]
    assert "3 pictures" in report_of("detector").summary[0]


def test_boxes_that_differ_are_marked() -> None:
    original, network, pictures = detectors()
    page = PageReader(report_of("detector").html)
    spiking = original.with_network(network)
    wanted, found = original.detect(pictures), spiking.detect(pictures)
    assert len([each for each in page.all("rect") if "box" in each.get("class", "").split()]) == sum(
        map(len, [*wanted, *found])
    )
    assert len(page.all("image")) == len(page.all("use")) == 3
    for label, name in enumerate(original.names):
        boxes = sum(int((each.classes == label).sum()) for each in (*wanted, *found))
        assert report_of("detector").html.count(f">{name}</text>") == boxes, "each box bears its name"
    with pytest.raises(ConfigurationError, match="give both"):
        snnconv.report(network, detector=original)
    with pytest.raises(ConfigurationError, match="leave data out"):
        snnconv.report(network, torch.zeros(1, 3, 64, 64), detector=original, pictures=pictures)
    with pytest.raises(ConfigurationError, match="original Detector"):
        snnconv.report(network, detector=original.network, pictures=pictures)


def test_rasters_show_the_spikes_of_the_run() -> None:
    _, x = make("deep")
    network = network_of("deep")
    node, population = next(iter(network.populations.items()))
    trains = ChosenTrains(network, [node])
    simulator_for(network).run((x[:3],), [trains])
    (found,) = trains.trains(1, 100)
    raster = network.run(x[:3], record=[population.name]).rasters[population.name][:, 1]
    fired = raster.ne(0).any(0)
    assert torch.equal(found.payloads, raster[:, fired])
    assert (found.firing, found.watched, found.neurons) == (int(fired.sum()), 16, 16)
    (few,) = trains.trains(1, 2)
    assert few.payloads.shape == (24, 2)


def test_attention_maps_are_those_of_the_original() -> None:
    model, x = transformer("attention")
    network = converted("attention", lambda: transformer("attention"), coding=FewSpike(14))
    maps = attention_maps(network, (x[:2],))
    q, k = ((layer(model.a(x[:1]))).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (model.q, model.k))
    weights = (q @ k.transpose(-2, -1) / 2.0).softmax(-1)[0]
    assert [each.head for each in maps] == [0, 1]
    for each, exact in zip(maps, weights, strict=True):
        assert torch.allclose(each.original, exact, atol=1e-6)
        assert torch.allclose(each.spiking, exact, atol=0.05)
    assert attention_maps(zoo("deep", coding=FewSpike(4)), (draw(2, 6),)) == ()


def test_an_attention_whose_keys_are_rows_is_shown_by_query() -> None:
    def by_key(m: Any, x: Any) -> Any:
        weights = (m.k(x) @ m.q(x).transpose(1, 2)).softmax(1)
        return m.o(weights.transpose(1, 2) @ m.v(x))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Block(by_key).double().eval()
    x = draw(24, TOKENS, WIDTH)
    (found,) = attention_maps(snnconv.convert(model, x, coding=FewSpike(12)), (x[:1],))
    with torch.no_grad():
        entered = model.a(x[:1])
        exact = (model.q(entered) @ model.k(entered).transpose(1, 2)).softmax(-1)[0]
    assert torch.allclose(found.original, exact, atol=1e-6)
    assert torch.allclose(found.spiking, exact, atol=0.05)


def test_text_is_escaped_unless_it_is_markup() -> None:
    assert tag("p", "<&>", Markup("<br>"), title='"', hidden=True, id=None) == (
        '<p title="&quot;" hidden>&lt;&amp;&gt;<br></p>'
    )


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-1.0, 3.0], [1e-12, 2e-12], [99.2, 99.9], [float("nan")]])
def test_axes_hold_their_values(values: list[float]) -> None:
    scale = linear(values, "x")
    assert scale.low < scale.high and 2 <= len(scale.ticks) <= 12
    assert all(scale.low <= value <= scale.high for value in values if value == value)
    assert all(-1e-9 <= scale.share(value) <= 1 + 1e-9 for value, _ in scale.ticks)


def test_logarithmic_axes_have_prefixes() -> None:
    scale = logarithmic([2e-9, 3e-6], "energy", "J")
    assert [text for _, text in scale.ticks] == ["10 nJ", "100 nJ", "1 µJ"]
    assert [text for _, text in logarithmic([0.5, 4.0], "spikes").ticks] == ["0.5", "1", "2", "5"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"samples": -1}, "samples must be"), ({"samples": True}, "samples must be"), ({"simulator": "no"}, "unknown")],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    _, x = make("deep")
    with pytest.raises(ConfigurationError, match=message):
        snnconv.report(network_of("deep"), x, **options)
    with pytest.raises(ConfigurationError, match="give what"):
        snnconv.report(make("deep")[0], x)  # type: ignore[arg-type]


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    report_of("from file").save(tmp_path / "new.html")
    assert (tmp_path / "new.html").read_text(encoding="utf-8") == report_of("from file").html
    with pytest.raises(StorageError, match="is no regular file"):
        report_of("from file").save(tmp_path)


def test_inputs_that_leave_their_range_are_told() -> None:
    _, x = make("deep")
    assert "leaves the range seen in calibration" in snnconv.report(network_of("deep"), 30.0 * x[:4]).html


def test_a_rate_coded_run_beside_it_gives_e1() -> None:
    _, x = make("deep")
    network = network_of("deep")
    rate = snnconv.evaluate(network, x[:4])
    found = snnconv.evaluate(zoo("deep", coding=Rate(8)), x[:4], rate_reference=rate)
    assert "TrueNorth" in snnconv.report(zoo("deep", coding=Rate(8)), x[:4], evaluation=replace(found)).html
