"""Heads blended with votes: taken where that clearly wins on folds, saved, refitted, refused if damaged."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.settings import TrainingSettings
from snake_assets.learning.training import refit, train_classifier
from snake_assets_tests.learning.tables import QUICK, VENOMOUS, species_table

LINEAR_FAILS = QUICK.model_copy(update={"feature_sets": (("cls",),), "shrinkages": (1.0,)})


def rings(seed: int = 0, prefix: str = "train", copies: int = 120) -> FeatureTable:
    """Species in alternate directions of a plane: no linear head tells them apart, the nearest photo does."""
    rng = np.random.default_rng(seed)
    sector = np.arange(copies) % 12
    angle = 2 * np.pi * sector / 12 + 0.05 * rng.normal(size=copies)
    cls = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return FeatureTable(
        image_id=[f"{prefix}/{row}.jpg" for row in range(copies)],
        observation_id=[f"{prefix} {row}" for row in range(copies)],
        blocks={"cls": cls},
        class_id=np.where(sector % 2 == 0, 3, 7).astype(np.int32),
        sha256=[f"{prefix}-{row}" for row in range(copies)],
        fingerprint="tiny",
    )


def train(table: FeatureTable, settings: TrainingSettings = LINEAR_FAILS) -> SpeciesClassifier:
    return train_classifier(table, VENOMOUS, settings, "tiny")


@pytest.fixture(scope="module")
def blend() -> SpeciesClassifier:
    # All photos lie on a circle: without near duplicates switched off all would be of one group.
    return train(rings(), LINEAR_FAILS.model_copy(update={"near_duplicates": None}))


def test_votes_are_blended_in_where_heads_fail(blend: SpeciesClassifier) -> None:
    votes = blend.selection.votes
    assert votes.taken and blend.references is not None
    assert "taken" in blend.selection.reason
    assert blend.selection.scores == votes.blend.scores
    unseen = rings(1, "val")
    assert (blend.identify(unseen).class_id == unseen.class_id).mean() > 0.95
    without = dataclasses.replace(blend, references=None)
    assert (without.identify(unseen).class_id == unseen.class_id).mean() < 0.8


def test_the_blend_is_its_share_of_votes_and_of_heads(blend: SpeciesClassifier) -> None:
    unseen = rings(1, "val")
    votes = blend.references.probabilities(unseen.blocks["cls"])
    heads = dataclasses.replace(blend, references=None).probabilities(unseen)
    share = blend.selection.votes.blend.share
    np.testing.assert_allclose(blend.probabilities(unseen), share * votes + (1 - share) * heads, atol=1e-6)


def test_votes_that_can_only_guess_are_not_taken() -> None:
    rng = np.random.default_rng(0)
    noise = {"cls": rng.normal(size=(48, 8)).astype(np.float32)}
    classifier = train(dataclasses.replace(species_table(), blocks=noise))
    assert classifier.references is None and not classifier.selection.votes.taken
    assert classifier.selection.votes.blend is not None
    assert len(classifier.selection.votes.baselines) == 2
    assert "not taken" in classifier.selection.reason


def test_nothing_is_tried_that_was_not_asked_for() -> None:
    classifier = train(species_table(), QUICK.model_copy(update={"neighbours": ()}))
    assert classifier.selection.votes.baselines == () and classifier.selection.votes.blend is None
    unblended = train(species_table(), QUICK.model_copy(update={"blends": ()}))
    assert len(unblended.selection.votes.baselines) == 2 and unblended.references is None


def test_a_blend_is_saved_and_loaded_to_the_last_bit(blend: SpeciesClassifier, tmp_path: Path) -> None:
    blend.save(tmp_path)
    loaded, unseen = SpeciesClassifier.load(tmp_path), rings(1, "val")
    assert loaded.probabilities(unseen).tobytes() == blend.probabilities(unseen).tobytes()
    loaded.save(tmp_path / "again")
    for name in ("model.safetensors", "classifier.json"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_refit_renews_the_references(blend: SpeciesClassifier) -> None:
    more = rings(5, copies=240)
    fitted = refit(blend, more, VENOMOUS)
    assert fitted.references.recipe == blend.references.recipe
    if fitted.references.recipe.k is not None:
        assert len(fitted.references.vectors) == 240
    assert fitted.selection is blend.selection


def test_a_blend_needs_its_cls_tokens(blend: SpeciesClassifier) -> None:
    wide = {"cls": np.zeros((120, 3), dtype=np.float32)}
    with pytest.raises(LearningError, match="expects the blocks"):
        blend.probabilities(dataclasses.replace(rings(), blocks=wide))


@pytest.mark.parametrize("fault", ["missing", "short", "label"])
def test_references_that_do_not_fit_are_refused(blend: SpeciesClassifier, tmp_path: Path, fault: str) -> None:
    blend.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    if fault == "missing":
        del tensors["references.axes"]
    elif fault == "short":
        tensors["references.vectors"] = tensors["references.vectors"][1:].copy()
    else:
        tensors["references.labels"] = tensors["references.labels"] + 7
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(LearningError, match="do not belong together"):
        SpeciesClassifier.load(tmp_path)
