"""What heads minimise for each photo, and the gradient of it, for the long tail of rare species.

The gradient of a cross entropy is written out, softmax(logits) - target: a graph of it would hold several
times the memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

ClassWeighting = Literal["none", "balanced", "resampled", "logit_adjusted", "seesaw"]

# Those of Wang et al., section 4.1: mitigation (p) and compensation (q).
MITIGATION, COMPENSATION = 0.8, 2.0
# From here on torch's own softmax is the faster one; below, it takes up to ten times as long.
MANY_SPECIES = 256


@dataclass(frozen=True)
class HeadLoss:
    """The loss of one head.

    Attributes:
        class_weighting: "none" is cross entropy. "balanced" weighs a photo by 1 / its species' count.
            "resampled" is the same loss in expectation: batches are drawn with replacement, first a species,
            each as likely, then one of its photos; no photo weighs much, but rare ones come again and again.
            "logit_adjusted" adds the log prior to the logits while training, so that the head answers as if
            species were equally common: Menon et al., "Long-tail learning via logit adjustment" (2021),
            eq. 10, with tau = 1 the balanced softmax of Ren et al. (2020). "seesaw" is Wang et al., "Seesaw
            Loss for Long-Tailed Instance Segmentation" (2021), eqs. 3 to 6: a species pushes another one down
            the less, the rarer that is, and the more, the more it is mistaken for it.
        label_smoothing: share of the target that is spread evenly over all species, 0 to below 1.
    """

    class_weighting: ClassWeighting = "none"
    label_smoothing: float = 0.0


class LossGradients:
    """Gradients of the losses of H heads, all of C classes and on the same photos."""

    def __init__(
        self, losses: Sequence[HeadLoss], photos: npt.NDArray[np.integer], device: "torch.device"
    ) -> None:
        """Losses, one per head; photos of each class in the training set, [C]."""
        import torch

        def tensor(values: object) -> "torch.Tensor":
            return torch.tensor(np.array(values), dtype=torch.float32, device=device)

        counts = np.maximum(photos, 1)
        log_counts = np.log(counts)
        log_prior, nothing = np.log(counts / counts.sum()), np.zeros(len(counts))
        balanced, plain = photos.sum() / (np.count_nonzero(photos) * counts), np.ones(len(counts))
        kinds = [loss.class_weighting for loss in losses]
        self._log_counts = tensor(log_counts)
        self._offset = tensor([log_prior if kind == "logit_adjusted" else nothing for kind in kinds])
        self._seesaw = [head for head, kind in enumerate(kinds) if kind == "seesaw"]
        self._weight = None
        if "balanced" in kinds:
            self._weight = tensor([balanced if kind == "balanced" else plain for kind in kinds]).T[:, :, None]
        self._smoothing = tensor([loss.label_smoothing for loss in losses])
        self._smooths = any(loss.label_smoothing for loss in losses)

    def of(self, logits: "torch.Tensor", answers: "torch.Tensor") -> "torch.Tensor":
        """Gradient of every photo's loss by its logits, in place: [B, H, C] and classes [B] -> [B, H, C]."""
        import torch

        logits += self._offset
        for head in self._seesaw:
            self._add_seesaw(logits[:, head], answers)
        error = softmax_(logits)
        if self._smooths:
            error -= (self._smoothing / logits.shape[2])[:, None]
        error[torch.arange(len(answers), device=answers.device), :, answers] -= 1.0 - self._smoothing
        if self._weight is not None:
            error *= self._weight[answers]
        return error

    def _add_seesaw(self, logits: "torch.Tensor", answers: "torch.Tensor") -> None:
        # log S_ij of truth i and species j. S is a constant of the loss, as in the authors' code; in the
        # compensation sigma_j / sigma_i the softmax's denominator falls out.
        truth = logits.gather(1, answers[:, None])
        mitigation = (self._log_counts - self._log_counts[answers][:, None]).clamp_(max=0)
        compensation = (logits - truth).clamp_(min=0)
        logits.add_(mitigation, alpha=MITIGATION).add_(compensation, alpha=COMPENSATION)


def softmax_(logits: "torch.Tensor") -> "torch.Tensor":
    """Softmax over the last axis, in place."""
    import torch

    if logits.shape[-1] >= MANY_SPECIES:
        return torch.softmax(logits, dim=-1, out=logits)
    logits -= logits.amax(dim=-1, keepdim=True)
    logits.exp_()
    logits /= logits.sum(dim=-1, keepdim=True)
    return logits
