"""Nothing lost, nothing added, nothing shifted: the rows of a table held against what went in."""

from collections.abc import Sequence

import pyarrow as pa

from snake_assets.storage.findings import Findings
from snake_assets.storage.tables import Table


def account_for_rows(table: Table, came_in: pa.Table) -> Findings:
    """Hold a table's rows and rejects against the rows that it was made of.

    Each row that came in must be a row, with the same values, or a named reject, and rows keep their order.
    Reads only the columns of `came_in`.

    Args:
        table: a committed table.
        came_in: image_id, and whatever other columns the table carries on from its input, in the order of
            the input; its image_ids are unique.

    Raises:
        StorageError: a shard cannot be read.
    """
    rows = table.read(came_in.column_names)
    rejected = {reject.image_id for reject in table.manifest.rejects}
    wanted = came_in.filter(pa.array([name not in rejected for name in _ids(came_in)], pa.bool_()))
    counts = (came_in.num_rows, rows.num_rows, len(table.manifest.rejects))
    faults = _faults_of_counts(*counts, table.manifest.rows_out)
    if _ids(rows) == _ids(wanted):
        faults += _changed_values(rows, wanted)
    else:
        faults += _faults_of_ids(_ids(rows), _ids(wanted))
    return Findings(faults, dict(zip(("rows in", "rows out", "rejects"), counts, strict=True)))


def _ids(rows: pa.Table) -> list[str]:
    ids: list[str] = rows["image_id"].to_pylist()
    return ids


def _faults_of_counts(came_in: int, rows: int, rejects: int, promised: int) -> list[str]:
    faults = []
    if came_in != rows + rejects:
        faults.append(f"{came_in} rows went in, but {rows} came out and {rejects} were rejected")
    if rows != promised:
        faults.append(f"the shards hold {rows} rows where the manifest says {promised}")
    return faults


def _faults_of_ids(rows: Sequence[str], wanted: Sequence[str]) -> list[str]:
    there, expected = set(rows), set(wanted)
    lost = [f"photo {name} went in and is neither a row nor a reject" for name in wanted if name not in there]
    added = [
        f"photo {name} is a row and never went in, or is rejected too"
        for name in rows
        if name not in expected
    ]
    if lost or added:
        return lost + added
    at = next((at for at, pair in enumerate(zip(rows, wanted, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return ["the last rows are repetitions"]
    return [f"row {at} is photo {rows[at]} where {wanted[at]} should be: the order is not that of the input"]


def _changed_values(rows: pa.Table, wanted: pa.Table) -> list[str]:
    faults = []
    for column in wanted.column_names[1:]:
        if not rows[column].equals(wanted[column]):
            pairs = zip(_ids(wanted), rows[column].to_pylist(), wanted[column].to_pylist(), strict=True)
            faults += [
                f"photo {name} has {column} {is_now!r} where {went_in!r} went in"
                for name, is_now, went_in in pairs
                if is_now != went_in
            ]
    return faults
