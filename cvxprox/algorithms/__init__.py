"""Algorithms as pure steps, the loop, and what watches over it."""

from cvxprox.algorithms.admm import ADMM as ADMM
from cvxprox.algorithms.anderson import Accelerated as Accelerated
from cvxprox.algorithms.base import Algorithm as Algorithm
from cvxprox.algorithms.iterate import iterate as iterate
from cvxprox.algorithms.residuals import Point as Point
from cvxprox.algorithms.residuals import Residuals as Residuals
from cvxprox.algorithms.residuals import Tolerances as Tolerances
from cvxprox.algorithms.residuals import residuals as residuals
from cvxprox.algorithms.solve import Result as Result
from cvxprox.algorithms.solve import Session as Session
from cvxprox.algorithms.solve import solve_admm as solve_admm
