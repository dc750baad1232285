"""How each species fares."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl


def species_table(
    truth: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    train_class_id: npt.NDArray[np.integer],
    names: Mapping[int, str],
    venomous: Mapping[int, bool],
) -> pl.DataFrame:
    """One row for every species that was trained on, is true or was answered, by class_id.

    Truth and answers are class_ids [O], those of the training photos [N]. A species without a name shows its
    class_id; one without a venom status has null for it.

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
    # The wrong code that each true code most often gets, the lowest of equals, and how often.
    wrong = true_codes != guess_codes
    pairs, times = np.unique(true_codes[wrong] * len(classes) + guess_codes[wrong], return_counts=True)
    confused: dict[int, tuple[int, int]] = {}
    for pair, count in zip(pairs.tolist(), times.tolist(), strict=True):
        true, guess = divmod(pair, len(classes))
        if count > confused.get(true, (0, 0))[1]:
            confused[true] = guess, count
    taken = [confused.get(code, (None, 0)) for code in range(len(classes))]
    return pl.DataFrame(
        {
            "class_id": classes.astype(np.int32),
            "species": named,
            "venomous": [venomous.get(class_id) for class_id in classes.tolist()],
            **counts,
            "recall": _percent(counts["right"], counts["val_observations"]),
            "precision": _percent(counts["right"], counts["answered"]),
            "f1": _percent(2 * counts["right"], counts["val_observations"] + counts["answered"]),
            "taken_for": [None if code is None else int(classes[code]) for code, _ in taken],
            "taken_for_species": [None if code is None else named[code] for code, _ in taken],
            "taken_for_observations": [count for _, count in taken],
        },
        schema_overrides={"venomous": pl.Boolean, "taken_for": pl.Int32, "taken_for_species": pl.String},
    )


def _percent(part: npt.NDArray[np.integer], whole: npt.NDArray[np.integer]) -> list[float | None]:
    return [100 * p / w if w else None for p, w in zip(part.tolist(), whole.tolist(), strict=True)]
