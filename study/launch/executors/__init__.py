"""Where worker processes run: on this machine, on Ray, on Slurm."""
