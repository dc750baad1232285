"""Checks that compare the splits by their CLS tokens; they warn."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from snake_assets.data_quality.cross_split_duplicates import copies_between
from snake_assets.data_quality.drift import Drift, measure_drift
from snake_assets.data_quality.findings import Findings
from snake_assets.defs.checks.factory import ROOM_ERRORS, Check, Site
from snake_assets.vision.embedding.tables import DINOV2

# A difference counts if it is beyond the limit by so many standard errors.
ERRORS_BEYOND = 2


def _copies(site: Site) -> Mapping[str, Findings]:
    tables, least = site.tables(DINOV2), site.limits.near_cosine
    findings = {}
    for first, second in combinations(tables, 2):
        try:
            found = copies_between(tables[first], tables[second], least)
        except ROOM_ERRORS as error:
            found = Findings([str(error)])
        findings[f"{first} and {second}"] = found
    return findings


def _drift(site: Site) -> Mapping[str, Findings]:
    tables, most = site.tables(DINOV2), site.limits.most_drift
    if not {"train", "test"} <= tables.keys():
        return {}
    usual = measure_drift(tables["train"], tables["val"]) if "val" in tables else None
    drift = measure_drift(tables["train"], tables["test"])
    findings = {"val and train": _told(usual), "test and train": _told(drift)}
    if drift:
        above, error = drift.above(usual)
        if above - ERRORS_BEYOND * error > most:
            fault = (
                f"a classifier tells test's photos from train's with an AUC of {drift.auc:.2f}, "
                f"{above:.2f} ± {error:.2f} above what is usual; the limit is {most:g}"
            )
            findings["test and train"] = replace(findings["test and train"], faults=[fault])
    return findings


def _told(drift: Drift | None) -> Findings:
    if drift is None:
        return Findings(figures={"AUC": "not told: too few observations"})
    return Findings(
        figures={
            "AUC": f"{drift.auc:.3f}",
            "standard error": f"{drift.standard_error:.3f}",
            "observations of each": drift.observations,
        }
    )


SPLIT_CHECKS = [
    Check(
        DINOV2,
        "photos_in_one_split",
        "No photo stands in two splits, not even nearly.",
        "Warns where a photo stands in two splits: the same file, or CLS tokens, less the mean, with a "
        "cosine above near_cosine (default 0.99). What was learned by heart flatters a score on val. "
        "A backbone that was never trained finds more photos alike than there are. When it warns, look at "
        "the photos that it names; the validation report tells the score of observations that have none.",
        _copies,
        blocking=False,
    ),
    Check(
        DINOV2,
        "test_resembles_train",
        "Test's photos can be told from train's hardly better than val's can.",
        "Warns where a linear classifier tells test's photos from train's better than val's from train's: "
        "by more than most_drift (default 0.1) of its AUC and two standard errors (the classifier "
        "two-sample test, Lopez-Paz & Oquab 2017; 0.5 is chance). The score on val then says little about "
        "test. When it warns, look for other cameras, places, seasons or species in test, or for another "
        "preprocessing.",
        _drift,
        blocking=False,
    ),
]
