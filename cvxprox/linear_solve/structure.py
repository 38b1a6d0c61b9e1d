"""Which programs have a proximal step in closed form, and why."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cvxprox.linear_solve.coupled_system import CoupledSystem
from cvxprox.linear_solve.pieces import Weight
from cvxprox.linear_solve.quadratic import Square, Variable, blocks_of, squares, variables
from cvxprox.linear_solve.slice_system import Combination, DiagonalSystem, SliceSystem
from cvxprox.linear_solve.woodbury import WoodburySystem
from cvxprox.operators import Basis, PixelBasis, Spectrum
from cvxprox.operators.bases import joined
from cvxprox.program import ProxProgram


@dataclass(frozen=True)
class SpectralStructure:
    """Closed forms of the proximal step, one for every group of coupled variables.

    Attributes
    ----------
    systems : tuple of SliceSystem
        Cover x without gaps.
    """

    systems: tuple[SliceSystem, ...]

    @property
    def reason(self) -> str:
        """Why the closed forms exist."""
        return "; ".join(dict.fromkeys(system.description for system in self.systems)) or "x is empty"

    def solve(self, factors: tuple[Any, ...], rhs: Tensor) -> Tensor:
        """The solution for a vector, which may be overwritten where no gradients are recorded."""
        solved: dict[int, Tensor] = {}
        for system, factor in zip(self.systems, factors, strict=True):
            values = system.solve(factor, tuple(v.of(rhs) for v in system.variables))
            for v, value in zip(system.variables, values, strict=True):
                solved[v.start] = value.reshape((*value.shape[: value.dim() - len(v.shape)], -1))
        parts = [solved[start] for start in sorted(solved)]
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts, dim=-1) if parts else rhs


@dataclass(frozen=True)
class NoStructure:
    """Why a program has no closed form that is known."""

    reason: str


@dataclass
class Group:
    """Variables that terms of the matrix couple, with the spectra of those terms.

    Attributes
    ----------
    variables : tuple of Variable
    blocks : dict
        By pairs of positions in `variables`, ``i <= j``: the sources of the terms with their spectra.
    rest : list of Square
        Terms without a spectrum.
    count : int
        Variables of the program.
    """

    variables: tuple[Variable, ...]
    count: int
    blocks: dict[tuple[int, int], list[tuple[int, Spectrum]]] = field(default_factory=dict)
    rest: list[Square] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The variables by their shapes, and by their entries if there are others."""
        return " and ".join(
            ("x" if self.count == 1 else f"x[{v.start}:{v.stop}]") + f" ({v.label})" for v in self.variables
        )

    def spectra(self) -> list[Spectrum]:
        """Those of all terms."""
        return [s for terms in self.blocks.values() for _, s in terms]

    def basis(self) -> Basis | None:
        """A basis in which all spectra can be written, None if there is none."""
        basis: Basis | None = PixelBasis()
        bases = [s.basis for s in self.spectra() if not s.is_scalar]
        for other in bases:
            basis = joined(basis, other) if basis is not None else None
        if basis is None or any(s.within(basis) is None for s in self.spectra()):
            return None
        return basis

    def combination(self, i: int, j: int, basis: Basis) -> Combination:
        """The eigenvalues of one block in a basis that has them."""
        terms = [(source, s.within(basis)) for source, s in self.blocks.get((i, j), [])]
        known = [(source, s.values) for source, s in terms if s is not None]
        return Combination(tuple(source for source, _ in known), tuple(values for _, values in known))


def spectral_structure(program: ProxProgram) -> SpectralStructure | None:
    """The closed form of the proximal step of a program; None if none is known."""
    found = analyse(program)
    return found if isinstance(found, SpectralStructure) else None


def analyse(program: ProxProgram) -> SpectralStructure | NoStructure:
    """The closed form of the proximal step of a program, or why none is known."""
    groups = grouped(program)
    if groups is None:
        return NoStructure("operators act on parts of x that overlap")
    systems = []
    for group in groups:
        found = next((s for build in CLOSED_FORMS if (s := build(group)) is not None), None)
        if found is None:
            return NoStructure(_obstacle(group))
        systems.append(found)
    return SpectralStructure(tuple(systems))


def grouped(program: ProxProgram) -> tuple[Group, ...] | None:
    """The groups of coupled variables of a program; None if its operators act on overlapping slices."""
    terms = squares(program)
    xs = variables(terms, program.variables)
    if xs is None:
        return None
    parent = list(range(len(xs)))

    def leader(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    spectra = [blocks_of(term, xs) for term in terms]
    touched: list[list[int]] = []
    for term, blocks in zip(terms, spectra, strict=True):
        if blocks is None:
            touched.append([i for i, v in enumerate(xs) if term.reads(v)])
            pairs = [(touched[-1][0], i) for i in touched[-1]]
        else:
            touched.append([])
            pairs = list(blocks)
        for i, j in pairs:
            parent[leader(j)] = leader(i)
    groups: dict[int, list[int]] = {}
    for i in range(len(xs)):
        groups.setdefault(leader(i), []).append(i)
    result = {head: Group(tuple(xs[i] for i in members), len(xs)) for head, members in groups.items()}
    for term, blocks, members in zip(terms, spectra, touched, strict=True):
        if blocks is None:
            result[leader(members[0])].rest.append(term)
            continue
        for (i, j), s in blocks.items():
            head = leader(i)
            place = groups[head].index(i), groups[head].index(j)
            result[head].blocks.setdefault(place, []).append((term.source, s))
    return tuple(result.values())


def diagonal_form(group: Group) -> SliceSystem | None:
    """One variable, one basis."""
    basis = group.basis()
    if len(group.variables) > 1 or group.rest or basis is None:
        return None
    description = f"Gram of K and P is {basis_name(basis)} on {group.label}"
    return DiagonalSystem(group.variables[0], basis, group.combination(0, 0, basis), description)


def coupled_form(group: Group) -> SliceSystem | None:
    """Several variables of one shape, one basis."""
    basis, p = group.basis(), len(group.variables)
    if p == 1 or group.rest or basis is None or len({v.shape for v in group.variables}) > 1:
        return None
    description = f"Grams of K and P are {basis_name(basis)} on {group.label}, with {p}×{p} systems"
    eigenvalues = {(i, j): group.combination(i, j, basis) for i, j in group.blocks}
    return CoupledSystem(group.variables, basis, eigenvalues, description)


def woodbury_form(group: Group) -> SliceSystem | None:
    """One variable, and one term without a spectrum whose outer Gram has one."""
    basis = group.basis()
    if len(group.variables) > 1 or len(group.rest) != 1 or basis is None:
        return None
    (variable,), (term,) = group.variables, group.rest
    if len(term.factors) != 1 or term.factors[0].inner.shape_in != variable.shape:
        return None
    F, eigenvalues = term.factors[0].inner, group.combination(0, 0, basis)
    description = (
        f"on {group.label} the Gram of K and P without {F} is {basis_name(basis)}, and that term has a "
        "diagonal outer Gram (Woodbury)"
    )
    system = WoodburySystem(variable, basis, eigenvalues, F, term.source, term.scale, description)
    one = torch.ones((), dtype=F.dtype_in.to_real(), device=F.device)
    weights: dict[int, Weight] = dict.fromkeys(eigenvalues.sources, 1.0)
    known = system.outer_gram(eigenvalues(weights, one))
    return None if known is None else system


CLOSED_FORMS: tuple[Callable[[Group], SliceSystem | None], ...] = (diagonal_form, coupled_form, woodbury_form)
"""Builders of closed forms, tried in this order; each gives None where it does not apply."""


def _obstacle(group: Group) -> str:
    if len({v.shape for v in group.variables}) > 1:
        return f"variables of different shapes are coupled: {group.label}"
    if group.rest:
        names = ", ".join(_factor_name(term) for term in group.rest[:3])
        return f"no fast basis is known for the Gram of {names} on {group.label}"
    names = " and ".join(dict.fromkeys(basis_name(s.basis) for s in group.spectra() if not s.is_scalar))
    return f"the Grams on {group.label} have no common basis: they are {names}"


def _factor_name(term: Square) -> str:
    return " + ".join(str(part.inner) for part in term.slices())


@functools.singledispatch
def basis_name(basis: Basis) -> str:
    """What an operator that the basis makes diagonal is called."""
    return f"{type(basis).__name__.removesuffix('Basis')}-diagonal"


@basis_name.register
def _(basis: PixelBasis) -> str:
    return "diagonal"
