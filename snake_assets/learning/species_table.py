"""How each species fares, and how much it helps to have photographed it often."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from snake_assets.learning.intervals import Interval, share_interval

# Where groups of species by their number of training photos may end.
PHOTO_STEPS = (2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500)
MOST_GROUPS, FEWEST_OBSERVATIONS = 12, 20


@dataclass(frozen=True)
class PhotoGroup:
    """Observations of the species that have between `fewest` and `most` training photos.

    `interval` is the 95 % interval of right / observations, in 0..1.
    """

    fewest: int
    most: int
    species: int
    observations: int
    right: int
    interval: Interval


def species_table(
    truth: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    train_class_id: npt.NDArray[np.integer],
    names: Mapping[int, str],
    venomous: Mapping[int, bool],
) -> pl.DataFrame:
    """One row for every species that was trained on, is true or was answered, by class_id.

    Args:
        truth: class_id of every observation, [O].
        predicted: what was answered, [O].
        train_class_id: species of every training photo, [N].
        names: class_id -> name; a species without one shows its class_id.
        venomous: class_id -> is venomous, for all that occur.

    Returns:
        class_id, species, venomous, train_photos, val_observations, right, answered (how often it was the
        answer); recall, precision and f1 in percent, null where nothing divides; taken_for, taken_for_species
        and taken_for_observations: the wrong answer that it most often gets. The mean of f1 is the macro F1.
    """
    classes, codes = np.unique(np.concatenate([truth, predicted, train_class_id]), return_inverse=True)
    true_codes, guess_codes, train_codes = np.split(codes, [len(truth), len(truth) + len(predicted)])
    counts = {
        "train_photos": np.bincount(train_codes, minlength=len(classes)),
        "val_observations": np.bincount(true_codes, minlength=len(classes)),
        "right": np.bincount(true_codes[true_codes == guess_codes], minlength=len(classes)),
        "answered": np.bincount(guess_codes, minlength=len(classes)),
    }
    named = [names.get(class_id, str(class_id)) for class_id in classes.tolist()]
    confused, times = _most_frequent_mistake(true_codes, guess_codes, len(classes))
    return pl.DataFrame(
        {
            "class_id": classes.astype(np.int32),
            "species": named,
            "venomous": [venomous[class_id] for class_id in classes.tolist()],
            **counts,
            "recall": _percent(counts["right"], counts["val_observations"]),
            "precision": _percent(counts["right"], counts["answered"]),
            "f1": _percent(2 * counts["right"], counts["val_observations"] + counts["answered"]),
            "taken_for": [None if code is None else int(classes[code]) for code in confused],
            "taken_for_species": [None if code is None else named[code] for code in confused],
            "taken_for_observations": times,
        },
        schema_overrides={"taken_for": pl.Int32, "taken_for_species": pl.String},
    )


def accuracy_by_photos(species: pl.DataFrame) -> list[PhotoGroup]:
    """Accuracy against the number of training photos of the true species, from a `species_table`.

    Species are grouped by fixed steps, and neighbouring groups are joined until each holds 20 observations
    and a twelfth of all; species without a training photo stay by themselves. Observations of one species
    are counted as independent, so that the intervals of groups of few species are rather too narrow.
    """
    scored = species.filter(pl.col("val_observations") > 0)
    enough = max(scored["val_observations"].sum() / MOST_GROUPS, FEWEST_OBSERVATIONS)
    never, trained = scored.filter(pl.col("train_photos") == 0), scored.filter(pl.col("train_photos") > 0)
    groups = [_group(never)] if never.height else []
    start = 1
    for end in PHOTO_STEPS:
        joined = trained.filter(pl.col("train_photos").is_between(start, end, closed="left"))
        left = trained.filter(pl.col("train_photos") >= end)
        # What would be left too small for a group of its own goes with the last one.
        if joined["val_observations"].sum() >= enough and left["val_observations"].sum() >= enough:
            groups.append(_group(joined))
            start = end
    rest = trained.filter(pl.col("train_photos") >= start)
    return [*groups, _group(rest)] if rest.height else groups


def _group(members: pl.DataFrame) -> PhotoGroup:
    observations, right = int(members["val_observations"].sum()), int(members["right"].sum())
    return PhotoGroup(
        fewest=min(members["train_photos"]),
        most=max(members["train_photos"]),
        species=members.height,
        observations=observations,
        right=right,
        interval=share_interval(right, observations),
    )


def _most_frequent_mistake(
    truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int
) -> tuple[list[int | None], list[int]]:
    """Of each true code, the wrong code that it most often gets (the lowest of equals), and how often."""
    wrong = truth != predicted
    pairs, times = np.unique(truth[wrong] * classes + predicted[wrong], return_counts=True)
    confused: list[int | None] = [None] * classes
    most = [0] * classes
    for pair, count in zip(pairs.tolist(), times.tolist(), strict=True):
        true, guess = divmod(pair, classes)
        if count > most[true]:
            confused[true], most[true] = guess, count
    return confused, most


def _percent(part: npt.NDArray[np.integer], whole: npt.NDArray[np.integer]) -> list[float | None]:
    return [100 * p / w if w else None for p, w in zip(part.tolist(), whole.tolist(), strict=True)]
