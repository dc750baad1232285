"""A row of the table: a class of faults or inputs, and what came of trying it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What came of one class.

    Attributes:
        kind: what classes it belongs to, such as "crashes".
        name: of the class.
        tried: how many were tried.
        right: how many of them ended right: with the right result, or refused by an error that says why.
        lost: tables, bundles, shards or files that were neither the old nor the new one, gone, or made again.
    """

    kind: str
    name: str
    tried: int
    right: int
    lost: int

    @property
    def sound(self) -> bool:
        """Whether all ended right, and nothing was lost."""
        return self.tried == self.right > 0 and not self.lost
