"""The limits of asset checks, as a resource (see settings.py)."""

import dagster as dg
from pydantic import Field

from snake_assets.defs.resources.settings import number

LIMITS = {
    "most_rejects": 0.01,
    "fewest_photos": 5,
    "near_cosine": 0.99,
    "most_drift": 0.1,
    "most_imbalance": 0.2,
}


class Limits(dg.ConfigurableResource[None]):
    """From where on asset checks warn; what blocks has no limits to set."""

    most_rejects: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of a split's photos, 0 to 1, that may be rejects. Default: SNAKE_MOST_REJECTS, "
        "else 0.01.",
    )
    fewest_photos: int | None = Field(
        default=None,
        ge=0,
        description="Photos that a species of train should have. Default: SNAKE_FEWEST_PHOTOS, else 5.",
    )
    near_cosine: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Cosine of centred CLS tokens, 0 to 1, above which two photos are nearly the same. "
        "Default: SNAKE_NEAR_COSINE, else 0.99.",
    )
    most_drift: float | None = Field(
        default=None,
        ge=0,
        le=0.5,
        description="By how much the AUC, 0.5 to 1, with which a classifier tells test from train may be "
        "above that for val. Default: SNAKE_MOST_DRIFT, else 0.1.",
    )
    most_imbalance: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="By how much the total variation distance, 0 to 1, between the species of the submission "
        "and those of train may be above what chance gives. Default: SNAKE_MOST_IMBALANCE, else 0.2.",
    )

    def limit(self, name: str) -> float:
        """A limit by its field's name. Raises SettingError for a variable that is no number in its range."""
        found = number(self, name)
        return LIMITS[name] if found is None else found
