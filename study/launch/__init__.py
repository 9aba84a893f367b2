"""The launcher: `make_plan` of `run_grid.py` says what is done and what is left, `run_grid` does it.

Nothing is imported here, since a worker process imports this package too, and starts without MLflow and Optuna.
"""
