"""How a classifier is trained, and the two numbers that are chosen on folds."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from snake_assets.learning.decision.rules import DecisionRule
from snake_assets.learning.feature_table import BLOCKS, CROP_OF_BLOCK, DCT

BlockName = Annotated[str, Field(pattern=f"^({'|'.join(BLOCKS)})$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Recipe(BaseModel):
    """One linear head on all blocks, blended with the votes of the nearest training photos.

    Attributes:
        blocks: what the head sees side by side, as far as the embeddings have them.
        strengths: candidates of the head's inverse regularisation, C as in scikit-learn: the sum of losses
            plus ||W||^2 / 2C is minimised.
        shares: candidates of the neighbours' share in the blend; 0 is the head alone.
        rule: how an observation's probabilities become one species.
        folds: of train, grouped by observation.
        near_duplicates: photos whose CLS tokens, less their mean, have a cosine above it stay on one side of
            every fold; None looks for exact copies only.
        leave_out_copies: whether photos with an exact copy under another species were not trained on.
        epochs: passes over the photos for each head.
        seed: of folds and batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    blocks: Annotated[tuple[BlockName, ...], Field(min_length=1)] = tuple(
        name for name in BLOCKS if name not in (DCT, CROP_OF_BLOCK[DCT])
    )
    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.03, 0.3)
    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.0, 0.2, 0.4, 0.6, 0.8)
    rule: DecisionRule = "argmax"
    folds: Annotated[int, Field(ge=2)] = 5
    near_duplicates: Annotated[float, Field(gt=0, lt=1)] | None = 0.99
    leave_out_copies: bool = False
    epochs: Annotated[int, Field(ge=1)] = 2
    seed: Annotated[int, Field(ge=0)] = 0
