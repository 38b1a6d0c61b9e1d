"""Random convex problems whose status is known by construction, and the comparison of a solver with that.

``python -m tests.random_problems --help`` runs many of them.
"""

from tests.random_problems.generate import FAMILIES as FAMILIES
from tests.random_problems.generate import case as case
from tests.random_problems.oracle import Outcome as Outcome
from tests.random_problems.oracle import run as run
