"""Total-variation denoising and deblurring of a photograph, solver by solver.

``python -m benchmarks.imaging --problem deblur --sizes 128 256`` runs it. Every solver gets the problem

    minimize 1/2 ||k * x - y||^2 + lambda sum_i |(D x)_i|_2

with circular convolution and circular forward differences D, and is timed where its objective is within a
relative `target` of the optimum, which is certified by a duality gap.
"""
