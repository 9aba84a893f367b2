"""Statistics of few seeds: arrays in, estimates with intervals and p-values out."""
