"""The launcher: `make_plan` says what is done and what is left, `run_grid` does it."""

from study.launch.display import Display
from study.launch.launcher import Summary
from study.launch.rates_from import with_rates_from
from study.launch.run_grid import Plan, make_plan, run_grid

__all__ = ["Display", "Plan", "Summary", "make_plan", "run_grid", "with_rates_from"]
