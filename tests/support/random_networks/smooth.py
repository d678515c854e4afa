"""Lines that are functions of one signal with bends: tables in front of weights, the output's own behind them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.random_networks.rule import Written, rule
from tests.support.random_networks.script import Signal

#: Arguments are kept in bounds: values of a random network may grow with its depth.
_TEXTS = {
    "sigmoid": ["torch.sigmoid({0})", "{0} * torch.sigmoid(1.7 * {0})"],
    "tanh": ["torch.tanh({0})"],
    "exp": ["torch.exp(torch.clamp({0}, -4.0, 2.0))", "{0} / (1 + torch.exp(-{0}))"],
    "square": ["torch.square(torch.tanh({0}))"],
    "pow": ["torch.tanh({0}) ** 3"],
    "sqrt": ["torch.sqrt(torch.square({0}) + 1)"],
    "log": ["torch.log(torch.square({0}) + 1)"],
    "gelu": ["F.gelu({0})", 'F.gelu({0}, approximate="tanh")'],
    "silu": ["F.silu({0})"],
    "elu": ["F.elu({0})", "F.elu({0}, 0.3)"],
    "softplus": ["F.softplus({0})", "F.softplus({0}, beta=2.0)"],
    "hardswish": ["F.hardswish({0})"],
    "mish": ["F.mish({0})"],
    "selu": ["F.selu({0})"],
    "celu": ["F.celu({0}, 0.7)"],
    "log_sigmoid": ["F.logsigmoid({0})"],
    "rsqrt": ["torch.rsqrt(torch.square({0}) + 1)"],
    "reciprocal": ["torch.reciprocal(torch.square({0}) + 1)"],
    "exp2": ["torch.exp2(torch.clamp({0}, -4.0, 2.0))"],
    "expm1": ["torch.expm1(torch.clamp({0}, -4.0, 2.0))"],
    "log2": ["torch.log2(torch.square({0}) + 1)"],
    "log10": ["torch.log10(torch.square({0}) + 1)"],
    "log1p": ["torch.log1p(torch.square({0}))"],
    "erf": ["torch.erf({0})"],
    "erfc": ["torch.erfc({0})"],
    "sin": ["torch.sin({0})"],
    "cos": ["torch.cos({0})"],
    "tan": ["torch.tan(torch.tanh({0}))"],
    "atan": ["torch.atan({0})"],
    "sinh": ["torch.sinh(torch.tanh({0}))"],
    "cosh": ["torch.cosh(torch.tanh({0}))"],
    "asinh": ["torch.asinh({0})"],
    "asin": ["torch.asin(0.9 * torch.tanh({0}))"],
    "acos": ["torch.acos(0.9 * torch.tanh({0}))"],
    "acosh": ["torch.acosh(torch.square({0}) + 1.5)"],
    "atanh": ["torch.atanh(0.9 * torch.tanh({0}))"],
    "sinc": ["torch.sinc({0})"],
    "logit": ["torch.logit(torch.sigmoid({0}), eps=0.01)", "torch.logit(0.8 * torch.sigmoid({0}) + 0.1)"],
    "erfinv": ["torch.erfinv(0.9 * torch.tanh({0}))"],
    "lgamma": ["torch.lgamma(torch.square({0}) + 0.5)"],
    "digamma": ["torch.digamma(torch.square({0}) + 0.5)"],
    "polygamma": ["torch.polygamma(1, torch.square({0}) + 0.5)"],
    "mvlgamma": ["torch.mvlgamma(torch.square({0}) + 1.5, 2)"],
    "i0": ["torch.i0(torch.tanh({0}))"],
    "special_i0e": ["torch.special.i0e({0})"],
    "special_i1": ["torch.special.i1(torch.tanh({0}))"],
    "special_i1e": ["torch.special.i1e({0})"],
    "special_entr": ["torch.special.entr(torch.sigmoid({0}))"],
    "special_erfcx": ["torch.special.erfcx(torch.tanh({0}))"],
    "special_log_ndtr": ["torch.special.log_ndtr({0})"],
    "special_ndtri": ["torch.special.ndtri(0.8 * torch.sigmoid({0}) + 0.1)"],
}


@rule(*_TEXTS)
def smooth(draw: DrawFn, operator: str, x: Signal, signals: Sequence[Signal]) -> Written:
    return Written(draw(st.sampled_from(_TEXTS[operator])), (x,))
