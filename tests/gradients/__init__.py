"""Gradients of solutions: every mode, algorithm and kind of problem against finite differences."""
