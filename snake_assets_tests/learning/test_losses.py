"""Losses: their written-out gradients are those of the formulas."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from snake_assets.learning.losses import ClassWeighting, HeadLoss, LossGradients, softmax_

PHOTOS = np.array([50, 8, 2, 20])


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return 2 * torch.randn(9, 4, generator=generator), torch.randint(4, (9,), generator=generator)


def gradient(loss: HeadLoss, logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    gradients = LossGradients([HeadLoss(), loss], PHOTOS, torch.device("cpu"))
    return gradients.of(torch.stack([logits, logits], dim=1), answers)[:, 1]


def seesaw(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Eqs. 3 to 6, term by term; S is no part of the graph."""
    scores = torch.softmax(logits.detach(), dim=1)
    losses = []
    for z, sigma, i in zip(logits, scores, answers.tolist(), strict=True):
        others = torch.tensor(0.0)
        for j in range(4):
            if j != i:
                mitigation = 1.0 if PHOTOS[i] <= PHOTOS[j] else (PHOTOS[j] / PHOTOS[i]) ** 0.8
                compensation = 1.0 if sigma[j] <= sigma[i] else (sigma[j] / sigma[i]) ** 2
                others = others + mitigation * compensation * z[j].exp()
        losses.append(-torch.log(z[i].exp() / (others + z[i].exp())))
    return torch.stack(losses).sum()


@pytest.mark.parametrize("weighting", ["none", "resampled", "balanced", "logit_adjusted", "seesaw"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_are_those_of_the_formulas(weighting: ClassWeighting, smoothing: float) -> None:
    given, answers = batch()
    logits = given.clone().requires_grad_()
    if weighting == "seesaw":
        if smoothing:
            pytest.skip("the paper has no smoothed seesaw loss")
        loss = seesaw(logits, answers)
    else:
        prior = torch.tensor(np.log(PHOTOS / PHOTOS.sum()), dtype=torch.float32)
        adjusted = logits + prior if weighting == "logit_adjusted" else logits
        each = cross_entropy(adjusted, answers, reduction="none", label_smoothing=smoothing)
        weight = torch.tensor(PHOTOS.sum() / (4 * PHOTOS), dtype=torch.float32)[answers]
        loss = (each * weight).sum() if weighting == "balanced" else each.sum()
    loss.backward()
    assert logits.grad is not None
    torch.testing.assert_close(gradient(HeadLoss(weighting, smoothing), given, answers), logits.grad)


def test_a_common_species_spares_a_rare_one() -> None:
    logits, answers = torch.zeros(1, 4), torch.tensor([0])
    spared = gradient(HeadLoss("seesaw"), logits, answers)[0]
    # With equal logits, each other species has (its photos / the true one's 50)^0.8 of the truth's share.
    shares = spared[1:] / (1 + spared[0])
    torch.testing.assert_close(shares, torch.tensor((PHOTOS[1:] / 50) ** 0.8, dtype=torch.float32))
    # A rare one pushes common ones down as plain cross entropy does.
    rare = gradient(HeadLoss("seesaw"), logits, torch.tensor([2]))
    torch.testing.assert_close(rare, gradient(HeadLoss(), logits, torch.tensor([2])))


@pytest.mark.parametrize("species", [13, 300])
def test_softmax_in_place(species: int) -> None:
    logits = 50 * torch.randn(4, 2, species, generator=torch.Generator().manual_seed(0))
    expected = torch.softmax(logits, dim=2)
    torch.testing.assert_close(softmax_(logits), expected)
    torch.testing.assert_close(logits, expected)
