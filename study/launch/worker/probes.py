"""What makes the probes of a run in a worker, which loads them only where there are any."""

from typing import TYPE_CHECKING

from study.config import ProbePlan

if TYPE_CHECKING:
    from study.train import Prober


def prober(plan: ProbePlan | None) -> "Prober":
    """Return what makes a run's probes; every rank does, since each has to go through the same steps."""
    from study.train import no_probes

    if plan is None:
        return no_probes
    from study.probe import Prober

    return Prober(plan)
