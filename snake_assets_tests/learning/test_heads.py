"""Heads: they find the minimum they are asked for, many at once, and leave no trace."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from snake_assets.learning.errors import LearningError
from snake_assets.learning.heads import HeadRecipe, Heads, Optimisation, train_heads
from snake_assets.learning.losses import ClassWeighting, HeadLoss
from snake_assets.learning.threads import threads_for


def clouds(
    rows: int = 240, classes: int = 4, spread: float = 1.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, classes, rows)
    centres = rng.normal(size=(classes, 6))
    return (centres[labels] + spread * rng.normal(size=(rows, 6))).astype(np.float32), labels


def test_separable_species_are_learned_in_full() -> None:
    features, labels = clouds(spread=0.1)
    heads = train_heads(features, labels, 4, [HeadRecipe(0.001)], Optimisation())
    assert (heads.logits(features, 0).argmax(axis=1) == labels).all()


def test_each_head_reaches_its_own_penalised_optimum() -> None:
    features, labels = clouds()
    decays = (0.01, 0.3)
    heads = train_heads(
        features, labels, 4, [HeadRecipe(decay) for decay in decays], Optimisation(minimum_steps=600)
    )
    for head, decay in enumerate(decays):
        reference = LogisticRegression(C=1 / (decay * len(features)), max_iter=2000, tol=1e-8)
        reference.fit(features, labels)
        np.testing.assert_allclose(heads.weight[head].T, reference.coef_, atol=5e-3)


def test_an_input_scale_is_the_same_as_scaled_inputs() -> None:
    features, labels = clouds()
    scale = np.linspace(0.5, 2, 6, dtype=np.float32)
    recipe, optimisation = [HeadRecipe(0.1)], Optimisation(minimum_steps=400)
    given_scale = train_heads(features, labels, 4, recipe, optimisation, scale[None])
    scaled_inputs = train_heads(features * scale, labels, 4, recipe, optimisation)
    np.testing.assert_allclose(
        given_scale.logits(features, 0), scaled_inputs.logits(features * scale, 0), atol=1e-4
    )


@pytest.mark.parametrize("batch_size", [4096, 64])
def test_the_same_call_gives_the_same_bits(batch_size: int) -> None:
    features, labels = clouds()
    recipes = [
        HeadRecipe(0.01),
        HeadRecipe(0.1, HeadLoss("balanced"), 0.02),
        HeadRecipe(0.1, HeadLoss("resampled")),
    ]
    first, second = (
        train_heads(features, labels, 4, recipes, Optimisation(batch_size=batch_size)) for _ in range(2)
    )
    assert first.weight.tobytes() == second.weight.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()


def test_mini_batches_follow_the_seed_and_come_near_the_optimum() -> None:
    features, labels = clouds()
    recipe = [HeadRecipe(0.1)]
    whole = train_heads(features, labels, 4, recipe, Optimisation(minimum_steps=300))
    one, other = (
        train_heads(features, labels, 4, recipe, Optimisation(minimum_steps=300, batch_size=60, seed=seed))
        for seed in (1, 2)
    )
    assert one.weight.tobytes() != other.weight.tobytes()
    np.testing.assert_allclose(one.weight, whole.weight, atol=0.05)


def test_global_state_is_left_alone() -> None:
    features, labels = clouds()
    torch.manual_seed(11)
    before = (torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    np.random.seed(3)  # The global state is what is looked at.
    numpy_before = np.random.get_state()[1].tobytes()  # type: ignore[index]
    with threads_for(1.0):
        train_heads(features, labels, 4, [HeadRecipe(0.1)], Optimisation(batch_size=50))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[1:]
    assert np.random.get_state()[1].tobytes() == numpy_before  # type: ignore[index]


def test_threads_are_put_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), threads_for(1.0):
        assert torch.get_num_threads() == 1
        raise RuntimeError
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("weighting", ["balanced", "resampled", "logit_adjusted", "seesaw"])
def test_class_weighting_helps_a_rare_species(weighting: ClassWeighting) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [190, 10])
    features = (labels[:, None] + rng.normal(size=(200, 1))).astype(np.float32)
    recipes = [HeadRecipe(0.01), HeadRecipe(0.01, HeadLoss(weighting))]
    heads = train_heads(features, labels, 2, recipes, Optimisation())
    plain, weighted = (np.sum(heads.logits(features, head).argmax(axis=1) == 1) for head in (0, 1))
    # Seesaw only keeps the common species from pushing the rare one down.
    assert plain < (4 if weighting == "seesaw" else 11) <= weighted


def test_bfloat16_products_stay_close() -> None:
    features, labels = clouds()
    recipe = [HeadRecipe(0.1)]
    exact = train_heads(features, labels, 4, recipe, Optimisation())
    rough = train_heads(features, labels, 4, recipe, Optimisation(precision="bf16"))
    np.testing.assert_allclose(rough.weight, exact.weight, atol=0.05)


def test_features_that_say_nothing_leave_the_prior() -> None:
    labels = np.repeat([0, 1], [30, 10])
    heads = train_heads(
        np.zeros((40, 3), dtype=np.float32), labels, 2, [HeadRecipe(0.1)], Optimisation(minimum_steps=300)
    )
    assert (heads.weight == 0).all()
    np.testing.assert_allclose(heads.bias[0, 0] - heads.bias[0, 1], np.log(3), atol=1e-2)


def test_what_cannot_be_trained_is_refused() -> None:
    features, labels = clouds()
    with pytest.raises(LearningError, match="no recipe"):
        train_heads(features, labels, 4, [], Optimisation())
    with pytest.raises(LearningError, match="do not fit 3 classes"):
        train_heads(features, labels, 3, [HeadRecipe(0.1)], Optimisation())
    with pytest.raises(LearningError, match="0 photos"):
        train_heads(features[:0], labels[:0], 4, [HeadRecipe(0.1)], Optimisation())
    with pytest.raises(LearningError, match="diverged"):
        train_heads(features, labels, 4, [HeadRecipe(0.1, learning_rate=1e38)], Optimisation())


def test_resampling_ends_where_balanced_weights_do() -> None:
    features, labels = clouds(rows=600, spread=1.5)
    rare = (labels != 0) | (np.arange(600) % 5 == 0)
    features, labels = features[rare], labels[rare]
    recipes = [HeadRecipe(0.1, HeadLoss(kind), 0.05) for kind in ("balanced", "resampled", "none")]
    heads = train_heads(features, labels, 4, recipes, Optimisation(minimum_steps=300))
    weighted, drawn, plain = heads.weight
    assert np.abs(drawn - weighted).max() < 0.05 < np.abs(plain - weighted).max()


def test_smoothing_keeps_a_head_from_being_sure() -> None:
    features, labels = clouds(spread=0.1)
    recipes = [HeadRecipe(0.0), HeadRecipe(0.0, HeadLoss(label_smoothing=0.2))]
    heads = train_heads(features, labels, 4, recipes, Optimisation(minimum_steps=300))
    sure, smoothed = (torch.softmax(torch.tensor(heads.logits(features, head)), 1) for head in (0, 1))
    truth = (np.arange(len(labels)), labels)
    assert sure[truth].mean() > 0.99
    # The smoothed target of the true species, 0.8 + 0.2 / 4.
    assert abs(float(smoothed[truth].mean()) - 0.85) < 0.02


def test_heads_start_where_they_are_told_and_are_shown_after_each_epoch() -> None:
    features, labels = clouds()
    optimum = train_heads(features, labels, 4, [HeadRecipe(0.1)] * 2, Optimisation(minimum_steps=400))
    seen: dict[int, Heads] = {}
    scale = np.full((2, 6), 0.5, np.float32)
    train_heads(
        features,
        labels,
        4,
        [HeadRecipe(0.1), HeadRecipe(0.1, learning_rate=0.01)],
        Optimisation(epochs=2, minimum_steps=1, batch_size=60),
        scale,
        optimum,
        lambda epochs, now: seen.update({epochs: now()}),
    )
    assert list(seen) == [0, 1, 2]
    np.testing.assert_allclose(seen[0].weight, optimum.weight, atol=1e-6)
    np.testing.assert_array_equal(seen[0].bias, optimum.bias)
    assert (seen[1].weight != seen[0].weight).any() and (seen[2].weight != seen[1].weight).any()


def test_heads_that_take_turns_are_those_that_step_together(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clouds()
    recipes = [HeadRecipe(decay) for decay in (0.01, 0.1, 1.0)]
    together = train_heads(features, labels, 4, recipes, Optimisation(batch_size=100))
    monkeypatch.setattr("snake_assets.learning.heads.LOGITS_AT_ONCE", 1)
    in_turn = train_heads(features, labels, 4, recipes, Optimisation(batch_size=100))
    np.testing.assert_allclose(in_turn.weight, together.weight, atol=1e-4)
    np.testing.assert_allclose(in_turn.bias, together.bias, atol=1e-4)


def test_precision_auto_leaves_small_products_exact() -> None:
    automatic = Optimisation(precision="auto")
    assert automatic.for_products_of(1e6).precision == "fp32"
    assert automatic.for_products_of(1e12).precision in ("fp32", "bf16")
    assert Optimisation(precision="bf16").for_products_of(1e6).precision == "bf16"


def test_at_a_constant_rate_the_first_epochs_do_not_know_how_many_follow() -> None:
    features, labels = clouds()
    after_two: list[Heads] = []
    for epochs in (2, 5):
        optimisation = Optimisation(epochs=epochs, minimum_steps=1, batch_size=100, constant_rate=True)
        train_heads(
            features,
            labels,
            4,
            [HeadRecipe(0.1)],
            optimisation,
            watch=lambda at, heads: after_two.append(heads()) if at == 2 else None,
        )
    assert (after_two[0].weight == after_two[1].weight).all()
