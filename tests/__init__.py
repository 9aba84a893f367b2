"""Tests of the program, and of what is written about it."""

import os

# Read when a library is loaded. Tests that run at once share the cores: threads of each would wait for one another.
for _library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
