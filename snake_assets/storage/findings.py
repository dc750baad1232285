"""What an examination found: figures for people to read, and what is wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from snake_assets.storage.tables import Table

Figure = str | int | float


@dataclass(frozen=True)
class Findings:
    """What was found in one place, such as the table of one split.

    Attributes:
        faults: what is wrong, a line for each, with the name of who or what offends; none means sound.
        figures: counts and measures that a person wants to see, by name.
        headline: what is wrong in one sentence, without its full stop; empty where the first fault tells it.
    """

    faults: Sequence[str] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    headline: str = ""


def repeated_ids(table: Table) -> Findings:
    """Photos whose image_id stands more than once in a table.

    Raises:
        StorageError: a shard cannot be read.
    """
    counts = Counter(table.read(["image_id"])["image_id"].to_pylist())
    return Findings(
        [f"photo {name} stands {times} times" for name, times in counts.items() if times > 1],
        {"rows": counts.total(), "different image_ids": len(counts)},
    )


def too_many_rejects(table: Table, most: float) -> Findings:
    """The rejects of a table if they are more than a share of the rows that went in; `most` is 0 to 1."""
    manifest = table.manifest
    share = len(manifest.rejects) / max(1, manifest.rows_in)
    rejected = [f"photo {reject.image_id}: {reject.reason}, {reject.detail}" for reject in manifest.rejects]
    return Findings(
        rejected if share > most else (),
        {"rows in": manifest.rows_in, "rejects": len(rejected), "share": f"{share:.2%}"},
        f"{len(rejected)} of {manifest.rows_in} photos are rejects, {share:.2%}; the limit is {most:.2%}",
    )
