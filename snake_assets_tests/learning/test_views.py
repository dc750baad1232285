"""Whole photos, crops, or both: each view is chosen among its like, and answers for itself."""

import numpy as np
import pytest

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import concat
from snake_assets.learning.settings import TrainingSettings
from snake_assets.learning.training import refit, train_classifier
from snake_assets.learning.views import view_of
from snake_assets.learning.ways import other_ways
from snake_assets_tests.learning.tables import CROPS_TOO, QUICK, VENOMOUS, species_table, with_crops

VIEWS = ["whole photo only", "crop only", "both whole photo and crop"]
WHOLE = species_table(spread=2.0)
TRAIN = with_crops(WHOLE, spread=0.4)
UNSEEN = species_table(observations=5, spread=2.0, seed=1, prefix="val")
VAL = with_crops(UNSEEN, spread=0.4, seed=6)
ORDER = list(dict.fromkeys(VAL.observation_id))
TRUTH = np.array([int(VAL.class_id[VAL.observation_id.index(name)]) for name in ORDER])
SETTINGS = QUICK.model_copy(update={"feature_sets": CROPS_TOO})


@pytest.fixture(scope="module")
def cropped() -> SpeciesClassifier:
    return train_classifier(TRAIN, VENOMOUS, SETTINGS, "tiny")


def test_each_feature_set_is_of_one_view() -> None:
    assert [view_of(names) for names in CROPS_TOO] == [*VIEWS, VIEWS[2]]
    assert view_of(("average_dct",)) == VIEWS[2] and view_of(("dct",)) == VIEWS[0]


def test_every_view_is_chosen_among_its_own_candidates(cropped: SpeciesClassifier) -> None:
    selection = cropped.selection
    assert [choice.view for choice in selection.views] == VIEWS
    for choice in selection.views:
        members = [selection.candidates[number] for number in choice.members]
        assert {view_of(member.recipe.features) for member in members} == {choice.view}
        likes = [one for one in selection.candidates if view_of(one.recipe.features) == choice.view]
        assert choice.scores.log_loss <= min(one.scores.log_loss for one in members)
        assert len(members) <= SETTINGS.average and all(member in likes for member in members)
    whole, crop, _ = (choice.scores for choice in selection.views)
    assert crop.log_loss < whole.log_loss
    assert {row["recipe"] for row in selection.rows()} >= set(VIEWS)


def test_the_folds_choose_crops_where_these_tell_more(cropped: SpeciesClassifier) -> None:
    assert any(name.startswith(("crop_", "average_")) for name in cropped.features)
    right = (cropped.identify(VAL, ORDER).class_id == TRUTH).mean()
    without = train_classifier(WHOLE, VENOMOUS, SETTINGS, "tiny")
    assert right > (without.identify(UNSEEN, ORDER).class_id == TRUTH).mean()


def test_the_views_are_answers_side_by_side(cropped: SpeciesClassifier) -> None:
    ways = other_ways(cropped, TRAIN, VAL, ORDER, {})
    assert [name for name in ways if name in VIEWS] == VIEWS
    right = {view: (ways[view] == TRUTH).mean() for view in VIEWS}
    assert right["crop only"] > right["whole photo only"]
    # A view answers as a classifier that had this view alone.
    alone = SETTINGS.model_copy(update={"feature_sets": CROPS_TOO[1:2], "neighbours": ()})
    crop_alone = train_classifier(TRAIN, VENOMOUS, alone, "tiny")
    assert (crop_alone.pooling, crop_alone.rule) == (cropped.pooling, cropped.rule)
    assert ways["crop only"].tolist() == crop_alone.identify(VAL, ORDER).class_id.tolist()


def test_without_crops_nothing_is_told_of_views() -> None:
    classifier = train_classifier(WHOLE, VENOMOUS, SETTINGS, "tiny")
    assert classifier.selection.views == ()
    assert not set(VIEWS) & other_ways(classifier, WHOLE, UNSEEN, ORDER, {}).keys()
    whole_alone = QUICK.model_copy(update={"feature_sets": CROPS_TOO[:1]})
    plain = train_classifier(WHOLE, VENOMOUS, whole_alone, "tiny")
    assert classifier.selection == plain.selection
    assert classifier.probabilities(UNSEEN).tobytes() == plain.probabilities(UNSEEN).tobytes()


def test_features_without_the_crops_are_refused_and_so_are_those_of_other_crops(
    cropped: SpeciesClassifier,
) -> None:
    with pytest.raises(LearningError, match="expects the blocks"):
        cropped.identify(UNSEEN)
    without = train_classifier(WHOLE, VENOMOUS, SETTINGS, "tiny")
    foreign = with_crops(species_table(fingerprint="tiny, with crops"), 0.4)
    with pytest.raises(LearningError, match="train again"):
        without.identify(foreign)
    with pytest.raises(LearningError, match="The recipe needs"):
        refit(cropped, WHOLE, VENOMOUS)


def test_a_classifier_with_crops_is_saved_and_trained_again(cropped: SpeciesClassifier, tmp_path) -> None:
    cropped.save(tmp_path)
    loaded = SpeciesClassifier.load(tmp_path)
    assert loaded.selection == cropped.selection and loaded.features == cropped.features
    assert loaded.probabilities(VAL).tobytes() == cropped.probabilities(VAL).tobytes()
    again = refit(loaded, concat(TRAIN, VAL), VENOMOUS)
    assert again.features == cropped.features


def test_crops_make_the_sweep_less_than_two_and_a_half_times_as_large() -> None:
    sets = TrainingSettings().feature_sets
    whole = [names for names in sets if view_of(names) == VIEWS[0]]
    assert {view_of(names) for names in sets} == set(VIEWS)
    # Work grows with the blocks; the 64 columns of the DCT weigh little.
    blocks = [sum(len([name for name in names if name != "dct"]) for names in some) for some in (sets, whole)]
    assert len(sets) < 2.5 * len(whole) and blocks[0] < 2.5 * blocks[1]
