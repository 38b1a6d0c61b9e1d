"""From terms to programs: what is absorbed, what is solved, what is left to a prox."""

from cvxprox.algorithms.form import Form as Form
from cvxprox.planning.plan import Choice as Choice
from cvxprox.planning.plan import Plan as Plan
from cvxprox.planning.plan import make_plan as make_plan
from cvxprox.planning.terms import Quadratic as Quadratic
from cvxprox.planning.terms import Term as Term
from cvxprox.planning.terms import Terms as Terms
from cvxprox.planning.terms import uniform as uniform
