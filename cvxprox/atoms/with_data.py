"""What all atoms of this library share: an expression, data, options."""

from __future__ import annotations

from typing import Any, ClassVar

from cvxpy.atoms.atom import Atom

from cvxprox.atoms.data import as_expression, check_data, describe


class AtomWithData(Atom):
    """An atom of one expression, ``args[0]``, and of data, ``args[1:]``.

    The data are constants or expressions of parameters.
    """

    data_names: ClassVar[tuple[str, ...]] = ()
    """What the data are called, in error messages and in the name of the atom."""

    options: ClassVar[tuple[str, ...]] = ()
    """The attributes that the constructor takes after the arguments."""

    def __init__(self, x: object, *data: object) -> None:
        kind = self.label()
        args = [as_expression(x, f"the argument of `{kind}`")]
        args += [
            as_expression(value, f"the {name} of `{kind}`")
            for name, value in zip(self.data_names, data, strict=False)
        ]
        super().__init__(*args)

    @classmethod
    def label(cls) -> str:
        """The name under which the user knows the atom."""
        return cls.__name__

    def name(self) -> str:
        """The call, with large constants and networks abbreviated."""
        data = [describe(d, n) for n, d in zip(self.data_names, self.args[1:], strict=False)]
        chosen = [f"{value}" for value in self.get_data() if value is not None]
        return f"{self.label()}({', '.join([self.args[0].name(), *data, *chosen])})"

    def get_data(self) -> list[Any]:
        """The options."""
        return [getattr(self, name) for name in self.options]

    def validate_arguments(self) -> None:
        """Check that no variable is among the data."""
        super().validate_arguments()
        check_data(self.label(), self.data_names, self.args[1:])
