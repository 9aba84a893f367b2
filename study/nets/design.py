"""Modifications of the paper's architecture: remedies besides a shortcut that later work proposed."""

from dataclasses import dataclass
from typing import Literal

Scaling = Literal["none", "rezero", "skipinit", "fixup"]
Activation = Literal["relu", "tanh", "tat", "dks"]
Initialisation = Literal["he", "xavier", "orthogonal", "delta-orthogonal", "dirac"]


@dataclass(frozen=True)
class Design:
    """A choice of modifications; the defaults are He et al. 2015."""

    shortcut_scale: float = 1.0
    """Factor of what a shortcut carries; 0 is the plain net."""
    preactivation: bool = False
    """Batch norm and ReLU before each convolution (He et al. 2016, arXiv 1603.05027)."""
    scaling: Scaling = "none"
    """How a residual block scales its branch."""
    normalised: bool = True
    """Whether batch norm follows the convolutions; otherwise they have biases."""
    activation: Activation = "relu"
    initialisation: Initialisation = "he"

    @property
    def gated(self) -> bool:
        """Whether a block multiplies its branch by a learned number, 0 at first: ReZero and SkipInit."""
        return self.scaling in ("rezero", "skipinit")

    @property
    def biased(self) -> bool:
        """Whether convolutions off the shortcuts have biases; Fixup has scalars of its own in their place."""
        return not self.normalised and self.scaling != "fixup"

    @property
    def is_common(self) -> bool:
        """Whether the net consists only of convolutions, batch norms and ReLUs, without further parameters."""
        return self.scaling == "none" and self.normalised and self.activation == "relu"


PAPER = Design()
