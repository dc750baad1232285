"""The table of docs/reliability.md, between two marks; the rest of the page is written by people."""

from collections.abc import Sequence

from snake_assets_tests.reliability.row import Row

BEGIN, END = "<!-- the table: make reliability -->", "<!-- end of the table -->"
HEAD = ["| | tried | ended right | lost |", "| --- | ---: | ---: | ---: |"]


def with_table(page: str, rows: Sequence[Row], notes: Sequence[str]) -> str:
    """The page with another table, and notes under it, each a paragraph.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    lines = [*HEAD]
    for kind in dict.fromkeys(row.kind for row in rows):
        lines.append(f"| **{kind}** | | | |")
        lines += [
            f"| {row.name} | {row.tried:,} | {row.right:,} | {row.lost} |" for row in rows if row.kind == kind
        ]
    total = [sum(counts) for counts in zip(*((row.tried, row.right, row.lost) for row in rows), strict=True)]
    lines.append("| **all** | " + " | ".join(f"**{number:,}**" for number in total) + " |")
    table = "\n".join(lines)
    return f"{before}{BEGIN}\n{table}\n\n" + "\n\n".join(notes) + f"\n{END}{after}"
