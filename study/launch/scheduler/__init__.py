"""Give runs to workers and log their events: the single writer to MLflow."""
