"""Heads: they find the minimum they are asked for, many at once, and leave no trace."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from snake_assets.learning.errors import LearningError
from snake_assets.learning.heads import HeadRecipe, Heads, Optimisation, train_heads
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
    recipes = [HeadRecipe(0.01), HeadRecipe(0.1, "balanced", 0.02)]
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


@pytest.mark.parametrize("weighting", ["balanced", "logit_adjusted"])
def test_class_weighting_helps_a_rare_species(weighting: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [190, 10])
    features = (labels[:, None] + rng.normal(size=(200, 1))).astype(np.float32)
    recipes = [HeadRecipe(0.01), HeadRecipe(0.01, weighting)]  # type: ignore[arg-type]
    heads = train_heads(features, labels, 2, recipes, Optimisation())
    plain, weighted = (np.sum(heads.logits(features, head).argmax(axis=1) == 1) for head in (0, 1))
    assert plain < 10 < weighted


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


def test_a_watch_sees_the_heads_before_the_first_step_and_after_each_epoch() -> None:
    features, labels = clouds()
    seen: list[tuple[int, Heads]] = []
    optimisation = Optimisation(epochs=3, minimum_steps=1, batch_size=100)
    last = train_heads(
        features,
        labels,
        4,
        [HeadRecipe(0.1)],
        optimisation,
        watch=lambda at, heads: seen.append((at, heads())),
    )
    assert [at for at, _ in seen] == [0, 1, 2, 3]
    assert not seen[0][1].weight.any()
    assert (seen[-1][1].weight == last.weight).all()
    assert len({heads.weight.tobytes() for _, heads in seen}) == 4


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
