"""Worker processes: train runs and send their events."""
