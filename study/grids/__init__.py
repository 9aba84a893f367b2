"""Shipped grids, one YAML file each; `study grids` lists them."""
