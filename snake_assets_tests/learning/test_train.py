"""Training: choices made on folds of train, defined outcomes for awkward sets."""

import dataclasses
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from snake_assets.learning import train as module
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.settings import Recipe
from snake_assets.learning.train import folds_of, refit, train_classifier
from snake_assets.snakeclef.metric import score
from snake_assets_tests.learning.tables import QUICK, VENOMOUS, species_table


def train(table: FeatureTable, recipe: Recipe = QUICK) -> SpeciesClassifier:
    return train_classifier(table, VENOMOUS, recipe, "tiny")


def test_separable_species_are_found_in_unseen_photos() -> None:
    classifier = train(species_table())
    unseen = species_table(seed=1, prefix="val")
    predictions = classifier.identify(unseen)
    truth = np.repeat([3, 7, 12, 30], 6)
    assert score(truth, predictions.class_id, VENOMOUS).track1 == 100.0


def test_every_strength_and_share_is_tried_and_the_least_log_loss_chosen() -> None:
    choice = train(species_table(spread=1.5)).choice
    tried = [(one.strength, one.share) for one in choice.candidates]
    assert sorted(tried) == sorted(product(QUICK.strengths, QUICK.shares))
    assert choice.best.log_loss == min(one.log_loss for one in choice.candidates)
    assert choice.held_out == 24


@pytest.mark.parametrize("limit", [{"MANY": 40}, {"MANY_SPECIES": 2}])
def test_of_a_large_set_one_part_is_held_out_once(
    limit: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in limit.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "HELD_OUT_OF_MANY", 12)
    lines: list[str] = []
    classifier = train_classifier(species_table(), VENOMOUS, QUICK, "tiny", lines.append)
    assert lines == ["fold 1 of 1"]
    assert classifier.choice.held_out == 6


def test_crops_are_seen_beside_the_whole_photo_where_there_are_any() -> None:
    table = species_table(spread=1.5)
    clear = species_table(spread=0.1).blocks["cls"]
    seen = train(dataclasses.replace(table, blocks={**table.blocks, "crop_cls": clear}))
    assert seen.features == {"cls": 8, "patch_mean": 4, "crop_cls": 8}
    assert seen.choice.best.log_loss < train(table).choice.best.log_loss
    assert train(table, Recipe(folds=3, blocks=("patch_mean",))).features == {"patch_mean": 4}


def test_near_duplicates_of_two_observations_are_never_parted() -> None:
    # Two observations of each species: held out together with its near duplicate, neither can be scored.
    table = species_table(classes=(3, 7), observations=2, photos=1, spread=0.0)
    with pytest.raises(LearningError, match="single observation"):
        train(table)
    apart = train(table, QUICK.model_copy(update={"near_duplicates": None}))
    assert apart.choice.held_out == 4


def test_a_species_of_one_photo_is_learned_though_never_scored() -> None:
    table = species_table(classes=(3, 7, 12, 30))
    assert table.class_id is not None
    first_of_its_species = np.flatnonzero(table.class_id == 30)[0]
    classifier = train(table.rows(np.arange(first_of_its_species + 1)))
    assert 30 in classifier.class_ids
    assert classifier.choice.held_out == 18


def test_refit_learns_new_photos_and_chooses_nothing() -> None:
    classifier = train(species_table(classes=(3, 7, 12)))
    fitted = refit(classifier, species_table(classes=(3, 7, 12, 30)), VENOMOUS)
    assert fitted.class_ids.tolist() == [3, 7, 12, 30]
    assert fitted.prior.tolist() == [0.25] * 4
    assert fitted.venomous.tolist() == [False, True, False, True]
    assert (fitted.temperature, fitted.rule) == (classifier.temperature, classifier.rule)
    assert fitted.choice is classifier.choice
    assert (fitted.identify(species_table(classes=(30,), seed=2, prefix="new")).class_id == 30).all()


def test_without_the_venom_of_every_species_none_is_told_and_rules_that_weigh_it_are_refused(
    tmp_path: Path,
) -> None:
    table = species_table(classes=(3, 7, 44))
    trained = train(table)
    # What is chosen, and every probability, are those of a classifier that knows.
    knowing = train_classifier(table, {**VENOMOUS, 44: False}, QUICK, "tiny")
    assert trained.probabilities(table).tobytes() == knowing.probabilities(table).tobytes()
    assert [one.track1 for one in trained.choice.candidates] == [None] * 10
    trained.save(tmp_path)
    trained = SpeciesClassifier.load(tmp_path)
    assert trained.venomous is None and trained.rules == ("argmax",)
    found = trained.identify(table, ["never seen", *dict.fromkeys(table.observation_id)])
    assert found.p_venomous is None
    assert found.class_id[1:].tolist() == trained.class_ids.repeat(6).tolist()
    for rule in ("track1", "track2"):
        with pytest.raises(LearningError, match=f"The rule {rule} weighs.*1 of 3 species.*class_id 44 first"):
            train(table, QUICK.model_copy(update={"rule": rule}))
    careful = train(species_table(), QUICK.model_copy(update={"rule": "track1"}))
    with pytest.raises(LearningError, match="The rule track1 weighs"):
        refit(careful, table, VENOMOUS)


def test_training_and_refit_on_the_same_photos_give_the_same_classifier_to_the_last_bit() -> None:
    table = species_table(spread=1.0)
    classifier = train(table)
    for again in (train(table), refit(classifier, table, VENOMOUS)):
        assert again.probabilities(table).tobytes() == classifier.probabilities(table).tobytes()
        assert again.choice == classifier.choice


def test_a_choice_rests_on_no_photo_that_the_backbone_has_seen(tmp_path: Path) -> None:
    table = species_table(spread=1.0)
    # Of each species' six observations of two photos: a photo of each of the first four or five.
    seen = np.array([row % 12 < (10 if row < 12 else 8) and row % 2 == 0 for row in range(48)])
    tuned = dataclasses.replace(table, seen=seen)
    folds = folds_of(tuned, QUICK)
    observations = np.array(table.observation_id)
    unseen = ~np.isin(observations, observations[seen])
    # All of them, also the only one of the first species, which the others teach.
    assert (folds >= 0).tolist() == unseen.tolist() and unseen[10:12].all()
    classifier = train(tuned)
    assert classifier.choice.rows == tuple(np.flatnonzero(unseen).tolist())
    assert classifier.choice.held_out == unseen.sum() / 2
    classifier.save(tmp_path)
    assert SpeciesClassifier.load(tmp_path).choice == classifier.choice
    # Without such photos nothing changes, but for what is told; of frozen backbones nothing is told.
    frozen, none = train(table), train(dataclasses.replace(table, seen=np.zeros(48, bool)))
    assert none.choice.candidates == frozen.choice.candidates
    assert (frozen.choice.rows, none.choice.rows) == ((), tuple(range(48)))
    with pytest.raises(LearningError, match="on every observation of train, so nothing is left"):
        train(dataclasses.replace(table, seen=np.arange(48) % 2 == 1))


def test_refit_refuses_other_features() -> None:
    classifier = train(species_table())
    with pytest.raises(LearningError, match="'huge', not of 'tiny'"):
        refit(classifier, species_table(fingerprint="huge"), VENOMOUS)
    narrow = {"cls": np.zeros((48, 2), dtype=np.float32)}
    with pytest.raises(LearningError, match="needs the blocks"):
        refit(classifier, dataclasses.replace(species_table(), blocks=narrow), VENOMOUS)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (species_table(observations=0), "no photo"),
        (dataclasses.replace(species_table(), class_id=None), "no class_id"),
        (species_table(classes=(3,)), "two species"),
        (species_table(observations=1), "single observation"),
        (species_table(fingerprint="huge"), "'huge', not of 'tiny'"),
        (
            dataclasses.replace(species_table(), blocks={"cls": np.full((48, 3), 2.5, dtype=np.float32)}),
            "same features",
        ),
        (
            dataclasses.replace(species_table(), blocks={"dct": np.eye(48, dtype=np.float32)}),
            "holds the blocks",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused(table: FeatureTable, message: str) -> None:
    with pytest.raises(LearningError, match=message):
        train(table)


@pytest.mark.parametrize(
    "bad", [{"folds": 1}, {"strengths": (0.0,)}, {"blocks": ()}, {"shares": (1.0,)}, {"fold": 3}]
)
def test_settings_out_of_range_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(bad)


def test_of_many_species_with_few_photos_one_fold_is_held_out_and_the_rest_teaches() -> None:
    species = module.MANY_SPECIES + 1
    class_id = np.repeat(np.arange(species, dtype=np.int32), 6)
    photos = len(class_id)
    table = FeatureTable(
        image_id=[str(row) for row in range(photos)],
        observation_id=[str(row // 2) for row in range(photos)],
        blocks={"cls": np.random.default_rng(0).normal(size=(photos, 32)).astype(np.float32)},
        class_id=class_id,
    )
    held_out = folds_of(table, Recipe()) == 0
    assert 0.15 < held_out.mean() < 0.25
    assert len(np.unique(class_id[~held_out])) == species
