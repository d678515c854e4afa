"""Coefficients of few-spike neurons that Stoeckl and Maass (2021) published, by the function that they approximate.

Taken over from ``fs_weights.py`` of github.com/christophstoeckl/FS-neurons, the authors' repository, where ``swish`` is
SiLU. Its versions list the removals with the unused one first or last; here a spike at step t takes off h(t), as in
equation 1 of the paper, and the last is unused.
"""

from __future__ import annotations

from typing import NamedTuple


class Coefficients(NamedTuple):
    """T(t), h(t) and d(t) by step: what a potential must reach, what a spike takes off it, and what it is worth."""

    thresholds: tuple[float, ...]
    removed: tuple[float, ...]
    emitted: tuple[float, ...]


#: By the name of the function in ATen's operator library.
PUBLISHED: dict[str, Coefficients] = {
    "silu": Coefficients(
        thresholds=(
            *(0.05946945, 1.6541206, 1.3066754, 1.3267198, 1.1000695, 1.2308974, 1.1188028, 0.9472501),
            *(0.5447531, 1.0236325, 0.11921431, -0.12855051, -0.44731247, -2.1383545, 1.0, -4.109145),
        ),
        removed=(
            *(0.7844085, 1.7550646, 1.4212719, 1.9244663, 1.4400164, 1.9249276, 1.6100428, 1.29061),
            *(0.83985287, 3.0827985, 0.43503317, 0.5155389, 0.3269445, 7.618048, -14.419675, 0.0),
        ),
        emitted=(
            *(0.40088242, 1.8856316, 1.4915457, 1.947229, 1.4717816, 1.9147849, 1.6389303, 1.2934641),
            *(0.8703124, 0.68460804, 0.44262582, 0.32832766, 0.13907616, -0.26217145, 0.23736191, -0.14830568),
        ),
    ),
    "sigmoid": Coefficients(
        thresholds=(
            *(-0.00824843, -0.9319625, 1.0080122, -1.2074932, -1.7885877, -2.7065408),
            *(-3.2715735, 0.07132628, -3.719372, -0.543918, -3.7693157, -5.5447803),
        ),
        removed=(
            *(1.6558512, 1.0989026, 10.7739, 1.3579437, 1.0146959, 0.8972655),
            *(2.1207616, 1.6949341, 3.6397197, -2.1483946, 5.1177883, 0.0),
        ),
        emitted=(
            *(0.37689912, 0.21977554, 0.40271342, 0.17005783, 0.09584032, 0.06293014),
            *(0.04360681, -0.0443096, 0.01999909, 0.07107325, 0.01502249, 0.01021793),
        ),
    ),
}
