"""Linear operators on torch tensors, and questions about their structure."""

from cvxprox.operators.algebra import Adjoint as Adjoint
from cvxprox.operators.algebra import Composed as Composed
from cvxprox.operators.algebra import Identity as Identity
from cvxprox.operators.algebra import Scaled as Scaled
from cvxprox.operators.algebra import Sum as Sum
from cvxprox.operators.as_dense import as_dense as as_dense
from cvxprox.operators.as_sparse import as_sparse as as_sparse
from cvxprox.operators.base import LinearOperator as LinearOperator
from cvxprox.operators.diagonal import diagonal as diagonal
from cvxprox.operators.diagonal import is_diagonal as is_diagonal
from cvxprox.operators.function import FunctionOperator as FunctionOperator
from cvxprox.operators.gather import Gather as Gather
from cvxprox.operators.gram import gram as gram
from cvxprox.operators.matrix import Diagonal as Diagonal
from cvxprox.operators.matrix import Matrix as Matrix
from cvxprox.operators.move import move as move
from cvxprox.operators.norm import norm as norm
from cvxprox.operators.sparse_matrix import SparseMatrix as SparseMatrix
from cvxprox.operators.stacked import Stacked as Stacked
from cvxprox.operators.weighted_column_norms import weighted_column_norms as weighted_column_norms
