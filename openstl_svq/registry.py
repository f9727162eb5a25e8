"""Records by name: an unknown name lists what exists, a taken name says who has it."""

from typing import Generic, TypeVar

from .naming import choose

Record = TypeVar("Record")


class Registry(dict[str, Record], Generic[Record]):
    """Name -> record of one kind of thing.

    Args:
        what: the kind, for messages: ``"method"``.
    """

    def __init__(self, what: str):
        super().__init__()
        self.what = what
        self._owners: dict[str, str] = {}

    def add(self, name: str, record: Record, owner: type, *, override: bool = False) -> None:
        """Enters ``record`` under ``name``.

        A configuration file may be read more than once, so an owner of the same module and name takes the place of the
        earlier one.

        Args:
            owner: the class that the record is of.
            override: replace another owner's record on purpose.

        Raises:
            ValueError: somebody else has the name.
        """
        new = f"{owner.__module__}.{owner.__qualname__}"
        if name in self and self._owners[name] != new and not override:
            raise ValueError(
                f"the {self.what} name {name!r} is taken by {self._owners[name]}. Choose another name for {new}, or "
                "replace that one with override=True."
            )
        self[name], self._owners[name] = record, new

    def find(self, name: str) -> Record:
        """The record called ``name``.

        Raises:
            ValueError: there is none; the message lists those that exist.
        """
        return self[choose(self.what, name, self)]
