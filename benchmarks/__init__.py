"""Benchmarks of cvxprox beside the other solvers that CVXPY knows: ``python -m benchmarks.run --help``."""

import os

# One thread for every solver. The libraries read these when they are first imported, so they are set before.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
