"""What is observed of values that divide, or are summed into what divides: small divisors count as large ones do."""

import torch
from torch import Tensor, nn

import snnconv
from coding import FewSpike


class NormedTokens(nn.Module):
    """A norm over six signals, whose inputs differ a thousandfold in variance from token to token."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.last = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.last(self.norm(x))
        return scores


def tokens(seed: int, size: float) -> Tensor:
    values = torch.randn(64, 8, 6, generator=torch.Generator().manual_seed(seed))
    values[:, 0] *= size
    return values


def error(network: snnconv.SpikingNetwork, model: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        exact = model(x)[:, 0]
    return float((network(x)[:, 0] - exact).norm() / exact.norm())


def test_a_token_of_small_variance_is_normalised_nearly_as_well_as_others() -> None:
    model = NormedTokens().eval()
    found = {}
    for size in (1.0, 0.03):
        network = snnconv.convert(model, tokens(1, size), coding=FewSpike(12, spikes=4))
        found[size] = error(network, model, tokens(2, size))
    assert found[1.0] < 0.02
    assert found[0.03] < 0.1


def test_a_divisor_between_those_that_were_seen_is_near_the_right_one() -> None:
    """One token in forty is far smaller than others: few values say where its variance may lie on other samples."""

    def unlike(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(32, 1, 40, 32, generator=generator)
        values[:, 0, 0] *= 0.02 * torch.randn(32, 1, generator=generator).mul(0.3).exp()
        return values

    torch.manual_seed(0)
    model, x = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 3)).eval(), unlike(12)
    network = snnconv.convert(model, unlike(11), coding=FewSpike(12, spikes=4))
    with torch.no_grad():
        wrong, exact = (network(x) - model(x))[:, 0, 0], model(x)[:, 0, 0]
    assert float((wrong.norm(dim=1) / exact.norm(dim=1)).amax()) < 0.5


def test_no_square_counts_less_than_nothing_in_a_divisor() -> None:
    network = snnconv.convert(NormedTokens().eval(), tokens(1, 0.03), coding=FewSpike(12, spikes=4))
    squares = next(population for population in network.populations.values() if population.tables is not None)
    currents = torch.linspace(-4, 4, 1001)[:, None].repeat(1, 8)
    found = squares.window_neuron(1).window(currents / squares.scale, counted=False).values
    assert float(found.amin()) >= 0.0


def test_order_of_samples_does_not_matter() -> None:
    model, x = NormedTokens().eval(), tokens(1, 0.03)
    one, other = (snnconv.convert(model, each, coding=FewSpike(8, spikes=3)) for each in (x, x.flip(0)))
    for node, population in one.populations.items():
        if population.tables is not None:
            torch.testing.assert_close(population.tables, other.populations[node].tables)
