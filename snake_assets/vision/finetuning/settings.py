"""How a backbone is fine-tuned; the defaults are those that docs/finetuning.md measures."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["full", "lora"]


class FinetuneSettings(BaseModel):
    """What is trained, and how. All of it decides the weights but `checkpointing`.

    LoRA is Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021); logit adjustment is Menon
    et al., "Long-tail learning via logit adjustment" (2021).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field(
        default="full",
        description="full: the layers themselves are trained; lora: a low-rank change of every linear layer, "
        "which is merged into the weights at the end.",
    )
    layers: int | None = Field(
        default=None,
        ge=1,
        description="So many of the last layers are trained, 1 or more. Default: all, and what comes before.",
    )
    rank: int = Field(default=16, ge=1, le=1024, description="Rank of LoRA's changes, 1 to 1,024.")
    epochs: int = Field(default=10, ge=1, le=10_000, description="Passes over the photos, 1 to 10,000.")
    batch: int = Field(
        default=16, ge=2, le=4096, description="Photos that the device sees at once, 2 to 4,096."
    )
    accumulation: int = Field(
        default=1, ge=1, le=4096, description="Batches whose gradients make one step, 1 to 4,096."
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Of AdamW at its highest, in the last layer, above 0 and below 1. It rises over a tenth "
        "of the steps and falls along a cosine. Default: 0.0001, of lora 0.001.",
    )
    layer_decay: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="What the learning rate is multiplied with from one layer to the one before it, above 0 "
        "to 1; of full.",
    )
    head_learning_rate: float = Field(
        default=1e-3, gt=0, lt=1, description="The same of the head, above 0 and below 1."
    )
    weight_decay: float = Field(
        default=0.05, ge=0, le=10, description="Of AdamW, on matrices alone, 0 to 10."
    )
    label_smoothing: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of the truth that is spread over all species, 0 to below 1.",
    )
    logit_adjustment: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="How much of the log of a species' share of the photos is added to its logit in the "
        "loss, 0 to 10: rare species are then not rarer still in the answers.",
    )
    venom_weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Weight, 0 to 100, of the expected cost of the answer by Track 2 beside the "
        "cross-entropy: venomous taken for harmless costs most. 0 leaves it out.",
    )
    least_area: float = Field(
        default=0.4,
        gt=0,
        le=1,
        description="Share of a photo that a random crop keeps at least, above 0 to 1.",
    )
    colour: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="How far brightness, contrast and saturation are changed at random, 0 to below 1.",
    )
    erasing: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the photos of which a random rectangle is blanked out, 0 to 1.",
    )
    upside_down: bool = Field(
        default=False, description="Whether photos are turned upside down, too, half of the time."
    )
    mixup: float = Field(
        default=0.0, ge=0, le=10, description="Alpha of mixup, 0 to 10; 0 for none. With cutmix, either."
    )
    cutmix: float = Field(default=0.0, ge=0, le=10, description="Alpha of cutmix, 0 to 10; 0 for none.")
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Decay, 0 to below 1, of a moving average of the weights, which is what is kept then; 0 "
        "for none.",
    )
    checkpointing: bool = Field(
        default=False,
        description="Whether activations are computed twice and not kept: a third slower, in less memory.",
    )
    seed: int = Field(
        default=0, ge=0, description="Of what is held out, of order and augmentation, 0 or more."
    )
