"""Plan a grid: which runs are done, which to continue, which to do."""
