"""How long a grid will take."""
