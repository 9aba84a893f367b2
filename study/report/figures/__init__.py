"""Figures: for each, a function that works out the numbers and one that draws them."""
