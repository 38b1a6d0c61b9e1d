"""Problems with torch tensors in the place of their parameters."""

from cvxprox.binding.binder import Binder as Binder
from cvxprox.binding.bound import Bound as Bound
