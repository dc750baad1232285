"""Whether classifier, report and submission are made of the features that are in the store now."""

from collections.abc import Mapping
from typing import cast

from snake_assets.defs.assets.classifier import CLASSIFIER_VERSION
from snake_assets.defs.assets.dependencies import feature_tables
from snake_assets.defs.assets.submission import SUBMISSION_VERSION
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import Store
from snake_assets.learning.report import REPORT_VERSION
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.storage.bundles import Bundle, open_bundle
from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import Json, fingerprint

Digests = Mapping[str, Mapping[str, str]]


def features_digest(store: Store, crops: Crops) -> str:
    """What the features of all splits hold, and by what versions they are turned into answers.

    Raises:
        StorageError: a split has no features yet.
    """
    versions = [CLASSIFIER_VERSION, REPORT_VERSION, SUBMISSION_VERSION]
    return fingerprint([_digests(store, crops), versions])


def why_answers_are_stale(store: Store, crops: Crops) -> str | None:
    """Why they should be made again, in one clause; None where all three are up to date.

    The settings of a run (folds, seed, refitting) are not judged: they are chosen run by run.

    Raises:
        StorageError: a split has no features yet.
    """
    made_of = _digests(store, crops)
    try:
        classifier = open_bundle(store.folder("species_classifier"))
        report = open_bundle(store.folder("validation_report"))
        submission = open_bundle(store.folder("submission"))
    except StorageError as error:
        return f"something is missing ({error})"
    read = cast(Mapping[str, Json], submission.recipe["embeddings"])
    judged = {split: list(made_of[split].values()) for split in ("train", "val")}
    handed_in = {split: list(made_of[split].values()) for split in SPLITS if split in read}
    by = {"classifier": classifier.digest}
    wanted: tuple[tuple[str, Bundle, dict[str, Json]], ...] = (
        ("species_classifier", classifier, {"version": CLASSIFIER_VERSION, "embeddings": made_of["train"]}),
        ("validation_report", report, {"version": REPORT_VERSION, "embeddings": judged, **by}),
        ("submission", submission, {"version": SUBMISSION_VERSION, "embeddings": handed_in, **by}),
    )
    for name, bundle, expected in wanted:
        if _differs(bundle, expected):
            return f"{name} was made of other features, or by another version of the code"
    return None


def _digests(store: Store, crops: Crops) -> Digests:
    return {
        split: {table.manifest.table: table.manifest.digest for table in feature_tables(store, split, crops)}
        for split in SPLITS
    }


def _differs(bundle: Bundle, expected: Mapping[str, Json]) -> bool:
    return any(fingerprint(bundle.recipe.get(key)) != fingerprint(value) for key, value in expected.items())
