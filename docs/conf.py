"""Configuration of the documentation's build."""

import cvxprox

project = "cvxprox"
author = "The cvxprox authors"
copyright = "The cvxprox authors"
release = cvxprox.__version__
version = release

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
nitpicky = False

autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"cvxprox {release}"
html_theme_options = {"navigation_with_keys": True}
