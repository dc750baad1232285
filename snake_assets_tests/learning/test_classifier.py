"""The classifier: what it says, and that its files say the same."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.linear_head import LinearHead
from snake_assets.learning.train import train_classifier
from snake_assets_tests.learning.tables import QUICK, VENOMOUS, species_table


@pytest.fixture(scope="module")
def trained() -> SpeciesClassifier:
    return train_classifier(species_table(spread=1.5), VENOMOUS, QUICK, "tiny")


@pytest.fixture
def by_hand(trained: SpeciesClassifier) -> SpeciesClassifier:
    """Logits are the features themselves: cls has a column per species."""
    zeros, ones = np.zeros(4, dtype=np.float32), np.ones(4, dtype=np.float32)
    return dataclasses.replace(
        trained,
        features={"cls": 4},
        head=LinearHead(zeros, ones, np.eye(4, dtype=np.float32), zeros),
        temperature=1.0,
        neighbours=dataclasses.replace(trained.neighbours, axes=np.eye(4, dtype=np.float32)),
        share=0.0,
        rule="argmax",
        prior=np.array([0.4, 0.3, 0.2, 0.1]),
    )


def photos(probabilities: list[list[float]], observation_id: list[str]) -> FeatureTable:
    names = [str(row) for row in range(len(observation_id))]
    return FeatureTable(names, observation_id, {"cls": np.log(np.array(probabilities).reshape(-1, 4))})


def test_a_hand_worked_identification(by_hand: SpeciesClassifier) -> None:
    table = photos([[0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4], [0.1, 0.6, 0.1, 0.2]], ["x", "y", "x"])
    predictions = by_hand.identify(table)
    assert list(predictions.observation_id) == ["x", "y"]
    assert predictions.class_id.tolist() == [3, 30]
    # x: roots of 0.07, 0.06, 0.01 and 0.02, made to sum to 1.
    np.testing.assert_allclose(predictions.probability, [0.352323, 0.4], rtol=1e-5)
    # Species 7 and 30 are venomous.
    np.testing.assert_allclose(predictions.p_venomous, [0.514512, 0.6], rtol=1e-5)
    assert predictions.top5_class_id.tolist() == [[3, 7, 30, 12], [30, 12, 7, 3]]
    assert (np.diff(predictions.top5_probability) <= 0).all()
    assert predictions.photos.tolist() == [2, 1]
    assert len(predictions) == 2


def test_the_cost_rule_may_differ_from_the_likeliest(by_hand: SpeciesClassifier) -> None:
    table = photos([[0.58, 0.4, 0.01, 0.01]], ["x"])
    careful = dataclasses.replace(by_hand, rule="track2").identify(table)
    assert careful.class_id.tolist() == [7]
    np.testing.assert_allclose(careful.probability, [0.4], rtol=1e-6)
    assert careful.top5_class_id[0, 0] == 3


def test_an_observation_without_a_photo_gets_the_prior_and_the_safest_species(
    by_hand: SpeciesClassifier,
) -> None:
    predictions = by_hand.identify(photos([[0.1, 0.1, 0.7, 0.1]], ["seen"]), order=["lost", "seen"])
    assert list(predictions.observation_id) == ["lost", "seen"]
    assert predictions.photos.tolist() == [0, 1]
    # Expected costs under the prior: 3 -> 0.2 + 5 x 0.4 = 2.2, 7 -> 2 x 0.6 + 2 x 0.1 = 1.4.
    assert predictions.class_id.tolist() == [7, 12]
    np.testing.assert_allclose(predictions.probability, [0.3, 0.7], rtol=1e-6)
    np.testing.assert_allclose(predictions.p_venomous, [0.4, 0.2], rtol=1e-6)


def test_no_photo_at_all(by_hand: SpeciesClassifier) -> None:
    empty = photos([], [])
    assert len(by_hand.identify(empty)) == 0
    assert by_hand.identify(empty, order=["a", "b"]).class_id.tolist() == [7, 7]


def test_a_loaded_classifier_is_the_saved_one_to_the_last_bit(
    trained: SpeciesClassifier, tmp_path: Path
) -> None:
    trained.save(tmp_path / "deep" / "folder")
    loaded = SpeciesClassifier.load(tmp_path / "deep" / "folder")
    table = species_table(seed=5)
    assert loaded.probabilities(table).tobytes() == trained.probabilities(table).tobytes()
    assert loaded.identify(table).class_id.tolist() == trained.identify(table).class_id.tolist()
    for field in dataclasses.fields(SpeciesClassifier):
        before, after = getattr(trained, field.name), getattr(loaded, field.name)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype and before.tobytes() == after.tobytes(), field.name
        elif field.name not in ("head", "neighbours"):
            assert before == after, field.name
    loaded.save(tmp_path)
    for name in ("model.safetensors", "classifier.json"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "deep" / "folder" / name).read_bytes()


def test_the_text_names_what_the_contract_asks_for(trained: SpeciesClassifier, tmp_path: Path) -> None:
    trained.save(tmp_path)
    text = json.loads((tmp_path / "classifier.json").read_text())
    assert text["class_ids"] == [3, 7, 12, 30]
    assert text["backbone_fingerprint"] == "tiny"
    assert text["feature_names"] == trained.features
    assert text["recipe"]["folds"] == 3
    assert text["decision_rule"] in ("argmax", "track1", "track2")
    assert len(text["standardisation"]["mean"]) == sum(trained.features.values())
    assert str(tmp_path) not in (tmp_path / "classifier.json").read_text()


def test_features_of_another_backbone_are_refused(trained: SpeciesClassifier) -> None:
    with pytest.raises(LearningError, match=r"'tiny'.*'huge'"):
        trained.probabilities(species_table(fingerprint="huge"))
    narrow = {"cls": np.zeros((48, 2), dtype=np.float32)}
    with pytest.raises(LearningError, match="the blocks"):
        trained.identify(dataclasses.replace(species_table(), blocks=narrow))


@pytest.mark.parametrize("name", ["model.safetensors", "classifier.json"])
def test_a_missing_or_damaged_file_is_named(trained: SpeciesClassifier, tmp_path: Path, name: str) -> None:
    trained.save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(LearningError, match="damaged"):
        SpeciesClassifier.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(LearningError, match="no whole classifier"):
        SpeciesClassifier.load(tmp_path)


def test_a_classifier_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "classifier.json").write_text(
        '{"format": 2, "class_ids": [3, 7], "pooling": "mean", "selection": {"candidates": []}}'
    )
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(LearningError, match=r"format 2.*another version.*Materialize species_classifier"):
        SpeciesClassifier.load(tmp_path)


def test_head_and_neighbours_can_be_asked_by_themselves(trained: SpeciesClassifier) -> None:
    table = species_table(seed=9)
    heads, votes = trained.head_probabilities(table), trained.votes(table)
    assert heads.shape == votes.shape == (48, 4)
    mixed = dataclasses.replace(trained, share=0.5, temperature=1.0).probabilities(table)
    np.testing.assert_allclose(mixed, (heads + votes) / 2, atol=1e-6)
    sharper = dataclasses.replace(trained, share=0.5, temperature=0.5).probabilities(table)
    np.testing.assert_allclose(sharper, mixed**2 / (mixed**2).sum(axis=1, keepdims=True), atol=1e-6)


def test_files_of_two_classifiers_do_not_mix(trained: SpeciesClassifier, tmp_path: Path) -> None:
    trained.save(tmp_path)
    smaller = train_classifier(species_table(classes=(3, 7)), VENOMOUS, QUICK, "tiny")
    smaller.save(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "model.safetensors")
    with pytest.raises(LearningError, match="do not belong together"):
        SpeciesClassifier.load(tmp_path)
