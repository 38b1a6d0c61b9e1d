"""Optimisation problems as layers: forward and backward passes, solver by solver.

``python -m benchmarks.layers --families qp --sizes 10,50,100`` runs it. Every solver gets the same problems,
with gradients with respect to all data, in double precision on one thread, in one process. Gradients are
compared with exact ones: those of the optimality conditions on the active set, by NumPy.
"""
