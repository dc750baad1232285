"""Folders with OWL-ViT, OWLv2 and SAM of the real architectures that are small, quick and know nothing."""

import json
from pathlib import Path
from typing import Literal

import torch
from transformers import (
    CLIPTokenizer,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessor,
    SamConfig,
    SamImageProcessor,
    SamModel,
)

OWL_SIDE = 64
SAM_SIDE = 64
OWL = {
    "owlvit": (OwlViTConfig, OwlViTForObjectDetection, OwlViTImageProcessor),
    "owlv2": (Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor),
}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = ["a", "photo", "of", "snake", "viper", "rope"]


def save_owl(
    folder: Path,
    kind: Literal["owlvit", "owlv2"],
    side: int = OWL_SIDE,
    wandering: float = 0.02,
) -> Path:
    """Patches of 16 x 16 pixels, one layer each; finds something at every patch.

    Without wandering, boxes are the architecture's own: of a patch's size, round its lower right corner.
    """
    config, model, images = OWL[kind]
    tokens = save_tokenizer(folder)
    torch.manual_seed(0)
    text = {"vocab_size": tokens, "bos_token_id": tokens - 2, "eos_token_id": tokens - 1}
    owl = model(
        config(
            text_config={**SMALL, "num_hidden_layers": 1, "max_position_embeddings": 16, **text},
            vision_config={**SMALL, "num_hidden_layers": 1, "image_size": side, "patch_size": 16},
            projection_dim=32,
        )
    )
    randomised(owl, 0.05)
    with torch.no_grad():
        owl.box_head.dense2.weight.mul_(wandering)
        owl.box_head.dense2.bias.zero_()
        owl.class_head.logit_shift.weight.mul_(0.1)
    owl.save_pretrained(folder)
    images(size={"height": side, "width": side}).save_pretrained(folder)
    return folder


def save_tokenizer(folder: Path) -> int:
    """CLIP's byte-level tokenizer with single letters and a few words; how many tokens it has.

    As published: "!" is 0 and pads, and the end of a text has the highest number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    words = [[*word[:-1], f"{word[-1]}</w>"] for word in WORDS]
    merges = [f"{''.join(word[:part])} {word[part]}" for word in words for part in range(1, len(word))]
    merges = list(dict.fromkeys(merges))
    made = [merge.replace(" ", "") for merge in merges]
    vocabulary = [*letters, *(letter + "</w>" for letter in letters), *made]
    numbers = {token: number for number, token in enumerate(vocabulary)}
    numbers |= {"<|startoftext|>": len(numbers), "<|endoftext|>": len(numbers) + 1}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "pad_token": "!", "model_max_length": 16})
    )
    assert CLIPTokenizer.from_pretrained(folder)("a snake")["input_ids"][0] == len(numbers) - 2
    return len(numbers)


def save_sam(folder: Path, side: int = SAM_SIDE, patch: int = 8) -> Path:
    """Masks of 4 x 4 pixels a patch; sure of what it sees, and of clear outlines."""
    torch.manual_seed(0)
    seen = {"image_size": side, "patch_size": patch}
    windows = {"window_size": 4, "global_attn_indexes": [1], "num_pos_feats": 16, "mlp_dim": 64}
    sam = SamModel(
        SamConfig(
            vision_config={**SMALL, "output_channels": 32, **windows, **seen},
            prompt_encoder_config={"hidden_size": 32, "mask_input_channels": 4, **seen},
            mask_decoder_config={**SMALL, "mlp_dim": 64, "iou_head_hidden_dim": 32},
        )
    )
    randomised(sam, 0.1)
    with torch.no_grad():
        sam.mask_decoder.iou_prediction_head.proj_out.weight.mul_(0.02)
        sam.mask_decoder.iou_prediction_head.proj_out.bias.fill_(0.9)
        for network in sam.mask_decoder.output_hypernetworks_mlps:
            network.proj_out.weight.mul_(50)
        sam.mask_decoder.upscale_conv2.weight.mul_(50)
    sam.save_pretrained(folder)
    square = {"height": side, "width": side}
    SamImageProcessor(size={"longest_edge": side}, pad_size=square).save_pretrained(folder)
    return folder


def randomised(model: torch.nn.Module, by: float) -> None:
    """Away from what starts at zero, one or nearly so."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn_like(parameter))
