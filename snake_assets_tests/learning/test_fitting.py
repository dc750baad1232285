"""Fitting: rows, scales and starts, down to plain weights."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from snake_assets.learning import fitting
from snake_assets.learning.fitting import LinearModel, fit_models
from snake_assets.learning.fold_scores import out_of_fold_logits
from snake_assets.learning.folds import ALWAYS_TRAINING
from snake_assets.learning.heads import Heads, Optimisation, train_heads
from snake_assets.learning.settings import Recipe, TrainingSettings


def recipe(**fields: object) -> Recipe:
    return Recipe.model_validate({"features": ("cls",), "shrinkage": 1.0, "weight_decay": 0.03} | fields)


def clouds(rows: int = 600) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(8)
    labels = rng.choice(5, rows, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    centres = 2 * rng.normal(size=(5, 6))
    noise = rng.normal(size=(rows, 6)) @ rng.normal(size=(6, 6))
    return (7 + centres[labels] + noise).astype(np.float32), labels


def test_only_the_given_rows_are_looked_at() -> None:
    features, labels = clouds()
    rows = np.arange(0, 600, 2)
    (whole,) = fit_models(features[rows], labels[rows], 5, [recipe()], Optimisation())
    spoilt = features.copy()
    spoilt[1::2] = np.nan
    (chosen,) = fit_models(spoilt, labels, 5, [recipe()], Optimisation(), rows)
    np.testing.assert_array_equal(chosen.weight, whole.weight)


def test_without_standardisation_a_loud_column_counts_more() -> None:
    features, labels = clouds()
    features[:, 0] *= 100
    plain, raw = fit_models(
        features, labels, 5, [recipe(), recipe(standardise=False)], Optimisation(minimum_steps=400)
    )
    # The same standardisation stands before both; what differs is what the decay was laid on.
    np.testing.assert_array_equal(plain.standardisation.scale, raw.standardisation.scale)
    loudness = [
        float(np.abs(model.weight[0]).mean() / np.abs(model.weight[1:]).mean()) for model in (plain, raw)
    ]
    assert loudness[1] > 3 * loudness[0]
    same = fit_models(features, labels, 5, [recipe(standardise=False)], Optimisation(minimum_steps=400))
    np.testing.assert_allclose(raw.weight, same[0].weight, atol=1e-5)


def test_large_sets_start_at_the_linear_discriminant() -> None:
    features, labels = clouds(4000)
    seen: dict[int, LinearModel] = {}
    fit_models(
        features,
        labels,
        5,
        [recipe(shrinkage=1e-6)],
        Optimisation(batch_size=500, epochs=1, minimum_steps=1),
        watch=lambda epochs, now: seen.update({epochs: now()[0]}),
    )
    theirs = LinearDiscriminantAnalysis().fit(features, labels)
    same = seen[0].logits(features).argmax(axis=1) == theirs.predict(features)
    assert same.mean() > 0.98
    # It is the optimum already; small steps do not leave it.
    assert loss(seen[1], features, labels) < loss(seen[0], features, labels) + 1e-3


@pytest.mark.parametrize("batch_size", [4096, 100])
def test_heads_trained_in_portions_are_those_trained_at_once(
    monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    features, labels = clouds()
    recipes = [
        recipe(shrinkage=shrinkage, class_weighting=weighting)
        for shrinkage in (1.0, 0.3)
        for weighting in ("none", "resampled", "logit_adjusted")
    ]
    settings = Optimisation(minimum_steps=30, batch_size=batch_size)
    at_once = fit_models(features, labels, 5, recipes, settings)
    passes: list[int] = []

    def counted(*given: object, **named: object) -> Heads:
        passes.append(len(given[3]))
        return train_heads(*given, **named)

    monkeypatch.setattr(fitting, "WEIGHTS_AT_ONCE", 4 * 6 * 5)
    monkeypatch.setattr(fitting, "train_heads", counted)
    in_portions = fit_models(features, labels, 5, recipes, settings)
    assert passes == [3, 3]
    for one, other in zip(at_once, in_portions, strict=True):
        np.testing.assert_allclose(one.weight, other.weight, atol=1e-5)
        np.testing.assert_allclose(one.bias, other.bias, atol=1e-5)


def test_a_decay_is_laid_on_the_same_evidence_whatever_the_number_of_photos() -> None:
    features, labels = clouds()
    doubled = (np.vstack([features, features]), np.concatenate([labels, labels]))
    settings = Optimisation(minimum_steps=400)
    (once,) = fit_models(features, labels, 5, [recipe(weight_decay=0.05)], settings)
    (twice,) = fit_models(*doubled, 5, [recipe(weight_decay=0.1)], settings)
    np.testing.assert_allclose(twice.weight, once.weight, atol=1e-3)


@pytest.mark.parametrize("batch_size", [4096, 32])
def test_features_that_are_all_alike_leave_the_prior(batch_size: int) -> None:
    labels = np.repeat([0, 1], [60, 20])
    (model,) = fit_models(
        np.full((80, 3), 2.5, np.float32),
        labels,
        2,
        [recipe()],
        Optimisation(batch_size=batch_size, minimum_steps=300),
    )
    assert np.abs(model.weight).max() < 1e-6
    assert model.bias[0] - model.bias[1] == pytest.approx(np.log(3), abs=0.05)


def test_all_that_is_tried_comes_from_the_settings() -> None:
    settings = TrainingSettings(
        class_weightings=("none", "resampled", "seesaw"),
        learning_rates=(0.05, 0.01),
        label_smoothings=(0.0, 0.1),
        standardise=(True, False),
        shrinkages=(1.0,),
        weight_decays=(0.1,),
    )
    recipes = settings.recipes(("cls",))
    assert len(set(recipes)) == len({one.name + str(one.learning_rate) for one in recipes}) == 3 * 2 * 2 * 2
    features, labels = clouds(200)
    models = fit_models(features, labels, 5, recipes, Optimisation(minimum_steps=50))
    for model in models:
        assert (model.logits(features).argmax(axis=1) == labels).mean() > 0.5


@pytest.mark.parametrize(("held_out", "trainings"), [(20, 1), (200, 2)])
def test_where_little_is_held_out_one_training_serves_all_folds(held_out: int, trainings: int) -> None:
    features, labels = clouds()
    folds = np.full(600, ALWAYS_TRAINING)
    folds[:held_out] = np.arange(held_out) % 2
    # A model that had seen these rows would be thrown off by them.
    spoilt = features.copy()
    spoilt[:held_out] *= -1000
    lines: list[str] = []
    logits = out_of_fold_logits(spoilt, labels, 5, folds, [recipe()], Optimisation(), lines.append)
    assert logits.shape == (1, held_out, 5) and len(lines) == trainings
    if trainings == 1:
        (unspoilt,) = fit_models(features, labels, 5, [recipe()], Optimisation(), np.arange(held_out, 600))
        np.testing.assert_allclose(logits[0], unspoilt.logits(spoilt[:held_out]), rtol=1e-5)


def loss(model: LinearModel, features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    logits = model.logits(features).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean())
