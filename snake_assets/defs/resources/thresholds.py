"""From where on asset checks warn, as a resource."""

import dagster as dg
from pydantic import Field


class Limits(dg.ConfigurableResource[None]):
    """From where on asset checks warn; what blocks has no limits to set."""

    most_rejects: float = Field(
        default=0.01, ge=0, le=1, description="Share of a split's photos, 0 to 1, that may be rejects."
    )
    fewest_photos: int = Field(
        default=5, ge=0, description="Photos that a species of train should have, 0 or more."
    )
    near_cosine: float = Field(
        default=0.99,
        ge=0,
        lt=1,
        description="Cosine of centred CLS tokens, 0 to 1, above which two photos are nearly the same.",
    )
    most_drift: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="By how much the AUC, 0.5 to 1, with which a classifier tells test from train may be "
        "above that for val.",
    )
    most_imbalance: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="By how much the total variation distance, 0 to 1, between the species of the submission "
        "and those of train may be above what chance gives.",
    )
