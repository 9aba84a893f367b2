"""The launcher: `make_plan` of `run_grid.py` compares a grid with MLflow, `run_grid` does what is left.

Nothing is imported here, since a worker process imports this package too, and starts without MLflow and Optuna.
"""
