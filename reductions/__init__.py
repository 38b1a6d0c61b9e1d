"""The reduction chain: a CVXPY problem in, a prox program out."""

if __name__ != "cvxprox.reductions":
    raise ImportError("import this package as cvxprox.reductions")
