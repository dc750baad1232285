"""The training of a backbone, by transformers' Trainer; killed, it goes on from its last checkpoint.

Nothing is chosen on the way: there is no early stopping, and no best checkpoint. The weights are those after
the last step, or their moving average.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.backbone.encoder import quiet_transformers
from snake_assets.vision.backbone.model_files import BACKBONE, SEEN_FILE
from snake_assets.vision.errors import FinetuningError
from snake_assets.vision.finetuning.model import Learner
from snake_assets.vision.finetuning.photos import Collation, HeldOutItems, LabelledPhotos, TrainingItems
from snake_assets.vision.finetuning.settings import FinetuneSettings

if TYPE_CHECKING:
    from transformers import Trainer

# Counts as an input: raise it when the same photos and settings would give other weights.
FINETUNING_VERSION = 1
# Scores are taken so often; a checkpoint is written every so many seconds.
LOOKS, SECONDS_BETWEEN_CHECKPOINTS = 10, 120.0
WHOLE = "whole"
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Moment:
    """How far a training is.

    Attributes:
        step: steps done, of `steps`.
        curve: the training loss by step, and what was scored on held-out photos by step and name.
    """

    step: int
    steps: int
    curve: Sequence[Mapping[str, float]]


Report = Callable[[Moment], None]
Judge = Callable[[Logits], Mapping[str, float]]


def steps_of(photos: int, settings: FinetuneSettings) -> int:
    """How many steps a training takes; what is left of the last one is left out."""
    return max(1, photos * settings.epochs // (settings.batch * settings.accumulation))


def finetune(
    backbone: Backbone,
    learner: Learner,
    photos: LabelledPhotos,
    held_out: LabelledPhotos,
    seen: Sequence[str],
    settings: FinetuneSettings,
    folder: Path,
    checkpoints: Path,
    judge: Judge,
    report: Report,
    every: float = SECONDS_BETWEEN_CHECKPOINTS,
) -> Sequence[Mapping[str, float]]:
    """Train a backbone and write it into a folder that SNAKE_BACKBONE takes.

    On a processor the same photos, settings and start give the same weights, killed or not.

    Args:
        backbone: to start from, looking at photos as it does for the embeddings.
        learner: made of it by `build_learner`, and used up.
        photos: to learn from.
        held_out: to be scored on now and then.
        seen: what all photos that are learned from are known by, SHA-256 in hex: kept beside the weights.
        settings: of the training.
        folder: empty, to write into.
        checkpoints: of this very training, whole or of a process that was killed; it is left there.
        judge: from logits of `held_out`, float32 [H, C], to scores by name.
        report: told every few steps, and whenever there is a new score.
        every: seconds from one checkpoint to the next.

    Returns:
        `Moment.curve` of the whole training.

    Raises:
        FinetuningError: memory ran out, or the weights are not finite.
    """
    steps = steps_of(len(photos), settings)
    resumed, watch = _last_whole(checkpoints), _watch(settings, report, every)
    # What goes on was scored before its first step, and has it in its history.
    trainer = _trainer(
        backbone, learner, photos, held_out, settings, steps, checkpoints, judge, watch, scored=bool(resumed)
    )
    try:
        with quiet_transformers():
            trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    except (RuntimeError, MemoryError) as error:
        refuse_for_memory(error, backbone, settings)
        raise
    if watch.averaged is not None:
        learner.module.load_state_dict(watch.averaged.module.state_dict())
    _write(backbone, learner, seen, folder)
    return _curve(trainer.state.log_history)


def _trainer(
    backbone: Backbone,
    learner: Learner,
    photos: LabelledPhotos,
    held_out: LabelledPhotos,
    settings: FinetuneSettings,
    steps: int,
    checkpoints: Path,
    judge: Judge,
    watch: Any,
    scored: bool,
) -> Trainer:
    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments

    in_a_step = settings.batch * settings.accumulation
    on_cuda = backbone.device.startswith("cuda")
    workers = max(1, (os.cpu_count() or 2) - 1) if on_cuda else 0
    optimizer = torch.optim.AdamW(learner.groups)
    look = max(1, steps // LOOKS)
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        # One pass over items that are all epochs, one after the other.
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 10),
        # On processors 16 bits took longer (ViT-Tiny, AVX512: 1.7 times).
        bf16=on_cuda and backbone.precision == "bf16",
        fp16=on_cuda and backbone.precision == "fp16",
        use_cpu=backbone.device == "cpu",
        eval_strategy="steps",
        eval_steps=look,
        eval_on_start=not scored,
        logging_steps=look,
        save_strategy="no",
        save_total_limit=2,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_num_workers=workers,
        dataloader_multiprocessing_context="spawn" if workers else None,
        dataloader_persistent_workers=workers > 0,
        dataloader_pin_memory=on_cuda,
        disable_tqdm=True,
        report_to="none",
        seed=settings.seed,
    )
    trainer = Trainer(
        model=learner.module,
        args=arguments,
        data_collator=Collation(backbone.preprocessing, settings, len(learner.module.head.bias)),  # type: ignore[union-attr, arg-type]
        train_dataset=TrainingItems(photos, backbone.preprocessing, settings, steps * in_a_step),
        eval_dataset=HeldOutItems(held_out, backbone.preprocessing),
        compute_metrics=lambda seen: dict(judge(np.asarray(seen.predictions))),
        optimizers=(optimizer, None),
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _watch(settings: FinetuneSettings, report: Report, every: float) -> Any:
    from safetensors.torch import load_model, save_model
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        """Tells how far the training is, saves by the clock, and averages weights."""

        def __init__(self) -> None:
            self.averaged: AveragedModel | None = None
            self.saved = self.told = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.saved = time.monotonic()
            if settings.ema:
                self.averaged = AveragedModel(
                    kwargs["model"],
                    multi_avg_fn=get_ema_multi_avg_fn(settings.ema),  # type: ignore[no-untyped-call]
                )
                kept = Path(args.output_dir) / f"checkpoint-{state.global_step}" / "average.safetensors"
                if kept.is_file():
                    load_model(self.averaged, kept)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if self.averaged is not None:
                self.averaged.update_parameters(kwargs["model"])
            now = time.monotonic()
            if now - self.saved >= every:
                control.should_save = True
            if now - self.told > 2:
                self._tell(state)

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            written = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if self.averaged is not None:
                save_model(self.averaged, str(written / "average.safetensors"))
            # A kill may leave a part of a checkpoint.
            (written / WHOLE).touch()
            self.saved = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._tell(state)

        def _tell(self, state: Any) -> None:
            self.told = time.monotonic()
            report(Moment(state.global_step, state.max_steps, _curve(state.log_history)))

    return Watch()


def _curve(history: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """By step, what transformers keeps under several entries: `loss`, and scores without their prefix."""
    found: dict[int, dict[str, float]] = {}
    timings = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
    for entry in history:
        row = found.setdefault(int(entry["step"]), {"step": entry["step"]})
        for name, value in entry.items():
            if name == "loss" or (name.startswith("eval_") and name not in timings):
                row[name.replace("eval_loss", "held_out_loss").removeprefix("eval_")] = value
    return [row for row in found.values() if len(row) > 1]


def _last_whole(checkpoints: Path) -> Path | None:
    """The latest checkpoint that was written to its end; parts of others go."""
    found = []
    for path in checkpoints.glob("checkpoint-*"):
        if (path / WHOLE).is_file():
            found.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def refuse_for_memory(error: Exception, backbone: Backbone, settings: FinetuneSettings) -> None:
    """Raise FinetuningError, with what to do, if memory ran out; other errors are the caller's."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error):
        raise FinetuningError(
            f"{backbone.device} has too little memory for batches of {settings.batch} photos of "
            f"{backbone.preprocessing.input_size[0]} pixels: halve `batch` and double `accumulation`, set "
            f"`checkpointing`, train fewer `layers`, or lower the resolution. ({error})"
        ) from error


def _write(backbone: Backbone, learner: Learner, seen: Sequence[str], folder: Path) -> None:
    import torch

    encoder: Any = learner.merged()
    if not all(torch.isfinite(values).all() for values in encoder.state_dict().values()):
        raise FinetuningError("The trained weights are not finite: set a lower learning_rate, and run again.")
    with quiet_transformers():
        encoder.cpu().save_pretrained(folder)
    for file in BACKBONE.files(backbone.folder):
        if not (folder / file.name).exists() and file.suffix == ".json" and "index" not in file.name:
            shutil.copyfile(file, folder / file.name)
    (folder / SEEN_FILE).write_text("".join(f"{one}\n" for one in sorted({*seen, *backbone.seen})))
    open_backbone(str(folder.absolute()), device="cpu", view=backbone.view)
