"""Labels held against the metadata, the venom list and other splits; answers against what was asked."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pyarrow as pa

from snake_assets.data_quality.findings import Findings
from snake_assets.learning.decision.rules import venom_gap
from snake_assets.snakeclef.csv_reader import read_rows
from snake_assets.snakeclef.image_table import IMAGE_SCHEMA
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.submission import COLUMNS, read_submission
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table

LABELS = ["image_id", "observation_id", "class_id"]


def labels_of(rows: Sequence[PhotoRow]) -> pa.Table:
    """image_id, observation_id and class_id of metadata rows, in their order, typed as in `image_table`."""
    schema = pa.schema([IMAGE_SCHEMA.field(name) for name in LABELS])
    return pa.Table.from_pydict({name: [getattr(row, name) for row in rows] for name in LABELS}, schema)


def unknown_classes(table: Table, venomous: Mapping[int, bool], all_needed: bool = True) -> Findings:
    """class_ids of a table that the venom list lacks; unlabelled rows have none.

    They are faults where all are needed, which is in the official layout; else a note.
    """
    photos: dict[int, list[str]] = defaultdict(list)
    rows = table.read(["image_id", "class_id"])
    for name, class_id in zip(rows["image_id"].to_pylist(), rows["class_id"].to_pylist(), strict=True):
        if class_id is not None:
            photos[class_id].append(name)
    lacking = [
        f"class_id {class_id}, photos: {len(names)}, {names[0]} first"
        for class_id, names in sorted(photos.items())
        if class_id not in venomous
    ]
    return Findings(
        lacking if all_needed else (),
        {"classes": len(photos), "classes of the venom list": len(venomous)},
        note=venom_gap(photos, venomous) or "",
    )


def shared_observations(tables: Mapping[str, Table]) -> dict[str, Findings]:
    """Observations that stand in more than one split, named in each of them; `tables` by split."""
    observations = {
        split: dict.fromkeys(table.read(["observation_id"])["observation_id"].to_pylist())
        for split, table in tables.items()
    }
    return {
        split: Findings(
            [
                f"observation {name} stands in {other} too"
                for other, others in observations.items()
                if other != split
                for name in own
                if name in others
            ],
            {"observations": len(own)},
        )
        for split, own in observations.items()
    }


def scarce_classes(table: Table, fewest: int) -> Findings:
    """Species with fewer than `fewest` photos, fewest first; a species without any is not in the table."""
    rows = table.read(["class_id", "binomial_name"])
    class_ids = rows["class_id"].to_pylist()
    names = dict(zip(class_ids, rows["binomial_name"].to_pylist(), strict=True))
    counts = Counter(class_id for class_id in class_ids if class_id is not None)
    scarce = [
        f"class_id {class_id} ({names[class_id] or 'no name'}), photos: {photos}"
        for class_id, photos in sorted(counts.items(), key=lambda item: (item[1], item[0]))
        if photos < fewest
    ]
    return Findings(
        scarce,
        {"species": len(counts), "photos": counts.total(), "fewest": min(counts.values(), default=0)},
        f"{len(scarce)} of {len(counts)} species have fewer than {fewest} photos",
    )


def submission_against(path: AnyPath, observations: Sequence[str]) -> Findings:
    """Hold a submission against the observations that it must answer, in their order and spelling.

    Raises:
        DataError: the file is missing or malformed, or an observation stands twice.
    """
    read_submission(path)
    # To the byte: whoever scores the file will not strip its ids.
    answered = [row.cells["observation_id"] for row in read_rows(path, COLUMNS)]
    there, wanted = set(answered), set(observations)
    faults = [f"observation {name} has no answer" for name in observations if name not in there]
    faults += [f"observation {name!r} is not one of test" for name in answered if name not in wanted]
    if not faults and answered != list(observations):
        at = next(at for at, name in enumerate(observations) if answered[at] != name)
        faults = [f"line {at + 2} answers {answered[at]} where {observations[at]} should be"]
    return Findings(faults, {"observations of test": len(observations), "answers": len(answered)})


def unknown_answers(path: AnyPath, venomous: Mapping[int, bool], all_needed: bool = True) -> Findings:
    """Answers of a submission whose class_id the venom list lacks; as for `unknown_classes`.

    Raises:
        DataError: the file is missing or malformed, or an observation stands twice.
    """
    answers = read_submission(path)
    lacking = [
        f"observation {name} is answered with class_id {class_id}"
        for name, class_id in answers.items()
        if class_id not in venomous
    ]
    return Findings(
        lacking if all_needed else (),
        {"answers": len(answers), "species answered": len(set(answers.values()))},
        note=venom_gap(answers.values(), venomous) or "",
    )
