"""MODEL_CARD.md: what a package is, what it is worth, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snake_assets.identification.evaluation import Operation
from snake_assets.identification.thresholds import Species

CARD = """# A classifier of {species:,} snake species

**Not for deciding how a bite is treated.** Call a poison centre or a doctor, whatever this model says. An
answer "unknown" does not say that a snake is harmless, and neither does a harmless answer prove it.

| | |
| --- | --- |
| from photos to vectors | `{backbone}`, frozen |
| from vectors to species | one linear head, blended with the nearest of {photos:,} training photos |
| species | {species:,}, of which {venomous:,} are medically important venomous (`taxonomy.csv`) |
| answers | species, genus, "venomous, species unsure" or "unknown" (`thresholds.json`) |

## What it is worth

Scores on the validation split, {observations:,} observations that nothing was chosen on, with 95 % intervals:

| score | value | interval | by chance |
| --- | --- | --- | --- |
{scores}

{operation}

Photos of another kind (other countries, camera traps, drawings) may be answered worse than these figures say.
Where photos of a country are few in `records.csv`, so is what the model knows of it.

## What it must not be used for

- Deciding whether a snake is safe to handle, or a bite harmless.
- Naming species that are not in `taxonomy.csv`: of strangers, as the table above says, many are given a name.
- Telling where protected snakes live, to whoever would take them.

## Licences

The photos in `gallery/` are thumbnails of training photos, under the licences of their owners. The weights in
`backbone/` are under the licence of `{backbone}`. Both are to be checked before this folder is given away.
"""
SCORES = {"track1": "Track 1", "track2": "Track 2 (a cost)", "f1": "macro F1, %", "accuracy": "accuracy, %"}


def model_card(
    backbone: str,
    photos: int,
    species: Species,
    scores: Mapping[str, Any],
    operation: Operation | None,
) -> str:
    """The card, as Markdown.

    Args:
        backbone: name of it.
        photos: that the classifier was trained on.
        species: that it knows.
        scores: the report's scores.json.
        operation: what answers are worth; None where there were too few observations to tell.
    """
    chance = scores["chance"]
    rows = [
        f"| {title} | {scores[name]} | {_interval(scores['intervals'].get(name))} | {chance[name]} |"
        for name, title in SCORES.items()
    ]
    return CARD.format(
        backbone=backbone,
        photos=photos,
        species=len(species.names),
        venomous=int(species.venomous.sum()),
        observations=scores["observations"],
        scores="\n".join(rows),
        operation=_operation(operation),
    )


def _operation(operation: Operation | None) -> str:
    if operation is None:
        return "There were too few observations to tell how far answers can be relied on."
    rows = [
        f"| {kept.promise} | {kept.promised:.0%} | {_share(kept.achieved)} | {_share(kept.standard_error)} |"
        for kept in operation.kept
    ]
    told = "There were too few species to leave any out."
    if operation.refused and operation.auroc:
        refused, low, high = operation.refused
        auroc, least, most = operation.auroc
        told = (
            f"Of species that a model was trained without, {refused:.0%} of the observations are answered "
            f'"unknown" (95 % interval {low:.0%} to {high:.0%}); the AUROC between known and unknown is '
            f"{auroc:.3f} ({least:.3f} to {most:.3f})."
        )
    return "\n".join(
        [
            "Promised among known species, and achieved on training photos that the models had not seen:",
            "",
            "| promise | promised | achieved | standard error |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            told,
        ]
    )


def _share(value: float | None) -> str:
    return "none to tell by" if value is None else f"{value:.1%}"


def _interval(bounds: list[float] | None) -> str:
    return f"{bounds[0]} to {bounds[1]}" if bounds else "none"
