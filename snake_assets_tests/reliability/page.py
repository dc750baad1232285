"""The table of docs/reliability.md, between two marks; the rest of the page is written by people."""

from collections.abc import Sequence
from dataclasses import dataclass

BEGIN, END = "<!-- the table: make reliability -->", "<!-- end of the table -->"


@dataclass(frozen=True)
class Row:
    """What came of trying a class of faults or inputs.

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


def with_table(page: str, rows: Sequence[Row], notes: Sequence[str]) -> str:
    """The page with another table, and notes under it, each a paragraph.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    lines = ["| | tried | ended right | lost |", "| --- | ---: | ---: | ---: |"]
    for kind in dict.fromkeys(row.kind for row in rows):
        lines.append(f"| **{kind}** | | | |")
        lines += [f"| {r.name} | {r.tried:,} | {r.right:,} | {r.lost} |" for r in rows if r.kind == kind]
    tried, right, lost = (sum(getattr(row, name) for row in rows) for name in ("tried", "right", "lost"))
    lines.append(f"| **all** | **{tried:,}** | **{right:,}** | **{lost:,}** |")
    table = "\n".join(lines)
    return f"{before}{BEGIN}\n{table}\n\n" + "\n\n".join(notes) + f"\n{END}{after}"
