"""Activations shaped for plain nets, which keep a deep net's inputs apart and its gradients alike.

Legend: c cosine of two inputs, L layers with an activation, z a standard normal number.
For inputs of unit mean square q, a wide layer of random weights maps two inputs of cosine c to outputs of cosine C(c),
the layer's C-map; that of a whole plain net is C applied L times.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.nets.design import Activation

ETA = 0.9
"""Cosine that a net of TAT's gives two inputs of cosine 0 (Zhang et al. 2022, arXiv 2203.08120, section 4)."""
ZETA = 1.5
"""Slope of the C-map of a net of DKS's at 1 (Martens et al. 2021, arXiv 2110.01765, section 11)."""
CMap = Callable[[float], float]
NODES = 256
"""Points of the quadrature for means over z."""


class TailoredReLU(nn.Module):
    """sqrt(2 / (1 + slope^2)) (max(x, 0) + slope min(x, 0)): it keeps the mean square of a standard normal input."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.gain = math.sqrt(2 / (1 + slope**2))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope) * self.gain


class ShapedSoftplus(nn.Module):
    """gamma (softplus(alpha x + beta) + delta)."""

    def __init__(self, alpha: float, beta: float, gamma: float, delta: float) -> None:
        super().__init__()
        self.alpha, self.beta, self.gamma, self.delta = alpha, beta, gamma, delta

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # a small difference of nearly equal numbers
        return ((F.softplus(wide * self.alpha + self.beta) + self.delta) * self.gamma).to(x.dtype)


def build_activation(kind: Activation, depth: int, *, in_place: bool = True) -> nn.Module:
    """Return the activation of a net of `depth` weighted layers, the last of which has none.

    A ReLU may work in place if its input isn't needed elsewhere.
    """
    if kind == "tanh":
        return nn.Tanh()
    if kind == "tat":
        return TailoredReLU(tailored_slope(plain_net_at_zero(depth - 1)))
    if kind == "dks":
        return ShapedSoftplus(*shape_softplus(ZETA ** (1 / (depth - 1))))
    return nn.ReLU(inplace=in_place)


def gain_of(kind: Activation) -> float:
    """Return the deviation of weights, times sqrt(fan_in), with which the activation keeps the mean square.

    sqrt(2) for ReLU (He et al. 2015, arXiv 1502.01852); 1 for activations that are scaled to keep it themselves, and
    for tanh, where it is the critical point for biases of 0 (Xiao et al. 2018, arXiv 1806.05393).
    """
    return math.sqrt(2) if kind == "relu" else 1.0


def leaky_c_map(c: float, slope: float) -> float:
    """Return C(c) of a leaky ReLU: c + (1 - a)^2 / (pi (1 + a^2)) (sqrt(1 - c^2) - c arccos c), a the slope.

    Zhang et al. 2022, equation 9; of slope 0 it is the arc-cosine kernel of ReLU (Cho and Saul 2009).
    """
    c = min(max(c, -1.0), 1.0)
    return c + (1 - slope) ** 2 / (math.pi * (1 + slope**2)) * (math.sqrt(1 - c * c) - c * math.acos(c))


def tailored_slope(net_at_zero: Callable[[CMap], float], eta: float = ETA) -> float:
    """Return the slope of a leaky ReLU with which a net maps inputs of cosine 0 to outputs of cosine eta.

    Args:
        net_at_zero: returns the net's C-map at 0 for the C-map of a layer.
        eta: the target cosine. If even a ReLU stays below it, its slope, 0, is returned.
    """
    from scipy import optimize  # workers need it only for these nets

    def excess(slope: float) -> float:
        return net_at_zero(lambda c: leaky_c_map(c, slope)) - eta

    return 0.0 if excess(0.0) <= 0 else float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-12))


def plain_net_at_zero(layers: int) -> Callable[[CMap], float]:
    """Return the function from a layer's C-map to that of a plain net of L such layers, at 0."""

    def at_zero(c_map: CMap) -> float:
        c = 0.0
        for _ in range(layers):
            c = c_map(c)
        return c

    return at_zero


@lru_cache
def shape_softplus(slope: float) -> tuple[float, float, float, float]:
    """Return alpha, beta, gamma and delta of a softplus by the four conditions of Deep Kernel Shaping.

    With f the shaped activation, Q(q) = E f(sqrt(q) z)^2 and C the layer's C-map: Q(1) = 1, Q'(1) = E f(z) f'(z) z = 1,
    C(0) = (E f(z))^2 = 0, and C'(1) = E f'(z)^2 = slope.

    Args:
        slope: above 1; zeta^(1/L) in a plain net of L layers, whose own slope at 1 then is zeta.
    """
    from scipy import optimize

    def errors(point: list[float]) -> list[float]:
        scale, slope_at_1 = _moments(*_normalised(*point))
        return [scale - 1, slope_at_1 - slope]

    root = optimize.root(errors, [1.0, 0.5], tol=1e-13)
    if not root.success:
        raise ArithmeticError(f"no softplus can be shaped to a slope of {slope}: {root.message}")
    return _normalised(*root.x)


def _nodes() -> tuple[Tensor, Tensor]:
    """Return points and weights of Gauss and Hermite's quadrature for a standard normal number, (NODES,) each."""
    from numpy.polynomial.hermite_e import hermegauss

    points, weights = hermegauss(NODES)
    return torch.from_numpy(points), torch.from_numpy(weights / math.sqrt(2 * math.pi))


def _normalised(alpha: float, beta: float) -> tuple[float, float, float, float]:
    """Add gamma and delta, so that the mean is 0 and the mean square 1."""
    z, weights = _nodes()
    values = F.softplus(z * alpha + beta)
    mean = float((weights * values).sum())
    variance = float((weights * (values - mean) ** 2).sum())
    return float(alpha), float(beta), 1 / math.sqrt(variance), -mean


def _moments(alpha: float, beta: float, gamma: float, delta: float) -> tuple[float, float]:
    """Return E f(z) f'(z) z and E f'(z)^2."""
    z, weights = _nodes()
    value = gamma * (F.softplus(z * alpha + beta) + delta)
    slope = gamma * alpha * torch.sigmoid(z * alpha + beta)
    return float((weights * value * slope * z).sum()), float((weights * slope**2).sum())
