"""A backbone of our own: fine-tuned on photos of train, of which a part is kept from it."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.dependencies import on_split
from snake_assets.defs.assets.embeddings import ViewConfig
from snake_assets.defs.lib.metadata import data_version, markdown_table, picture, progress, some_of
from snake_assets.defs.lib.partitions import ON_DEVICE
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.backbone import FINETUNED_BACKBONE, BackboneSetting
from snake_assets.defs.resources.settings import home
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.errors import LearningError
from snake_assets.learning.reading import read_splits
from snake_assets.learning.tuning import tuning_task
from snake_assets.plots.tuning_chart import tuning_chart_png
from snake_assets.storage.bundles import Bundle, is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.embedding.tables import DINOV2
from snake_assets.vision.finetuning.model import build_learner, refuse_untrainable
from snake_assets.vision.finetuning.plan import Cost, estimated, measured, refuse_too_large
from snake_assets.vision.finetuning.settings import FinetuneSettings
from snake_assets.vision.finetuning.training import FINETUNING_VERSION, Moment, finetune, steps_of
from snake_assets.vision.inference.runner import peak_memory_bytes

CHART_FILE, TUNING_FILE = "curve.png", "tuning.json"


class FinetuneConfig(ViewConfig, FinetuneSettings):
    """How the backbone is fine-tuned, on what, and how it looks at photos: as in `embeddings`."""

    held_out: float = Field(
        default=0.2,
        gt=0,
        le=0.5,
        description="Share of train's observations, above 0 to 0.5, that is kept from the tuning. On these "
        "alone the classifier is chosen and thresholds are fitted afterwards.",
    )
    dry_run: bool = Field(
        default=False, description="Only tell what it will take: steps, time and memory, here and elsewhere."
    )

    def settings(self) -> FinetuneSettings:
        """The room's own settings."""
        return FinetuneSettings(**self.model_dump(include=set(FinetuneSettings.model_fields)))


@dg.asset(
    name=FINETUNED_BACKBONE,
    deps=[on_split(DINOV2, "train")],
    group_name="features",
    kinds={"pytorch", "huggingface"},
    code_version=str(FINETUNING_VERSION),
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
    output_required=False,
)
@retries_only_what_passes
def finetuned_backbone(
    context: dg.AssetExecutionContext,
    config: FinetuneConfig,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
) -> Iterator[dg.MaterializeResult[None]]:
    """The backbone, fine-tuned on photos of train: a folder in Hugging Face format.

    SNAKE_BACKBONE=finetuned takes it, for all jobs; with the name of the frozen one before a comma, both. It
    begins at the frozen backbone and a linear probe on its vectors. A part of train's observations is never
    shown to it: on that alone the classifier is chosen and thresholds are fitted afterwards, because photos
    that it has seen would flatter them. Not part of the job snakeclef: run the job finetune. The log tells
    steps, time and memory before it starts; killed, it goes on from the last checkpoint, two minutes back at
    most. If it fails, the message says which setting is wrong, or how to take less memory.
    """
    settings, model = config.settings(), backbone.open(store, config.view())
    if model.beside:
        raise LearningError(
            "SNAKE_BACKBONE names several backbones: name the one to start from, run the job finetune, then "
            "set SNAKE_BACKBONE to it, a comma and `finetuned`."
        )
    if model.seen and model.folder.resolve() == Path(store.local_folder(FINETUNED_BACKBONE)).resolve():
        raise LearningError(
            "SNAKE_BACKBONE is `finetuned`, which is what this job writes: set it to the backbone to start "
            "from. To tune a tuned one once more, name a copy of its folder."
        )
    layout, images = raw_data.layout(store), open_table(store.folder("image_table", "train"))
    recipe: dict[str, Json] = {
        "version": FINETUNING_VERSION,
        "start": model.fingerprint_parts(),
        "settings": settings.model_dump(exclude={"checkpointing"}),
        "held_out": config.held_out,
        "images": images.manifest.digest,
        "venom_list": layout.venom_digest(),
    }
    folder = store.folder(FINETUNED_BACKBONE)
    if config.dry_run or not is_current(folder, recipe):
        refuse_untrainable(model)
        features = open_table(store.folder(DINOV2, "train"))
        made = features.manifest.recipe
        if made.get("weights") != model.digest or "beside" in made:
            raise LearningError(
                f"The tuning starts from {model.name} (weights {model.digest[:8]}), and the embeddings of "
                f"train are of {made.get('backbone')} (weights {str(made.get('weights'))[:8]}): set "
                "SNAKE_BACKBONE to the backbone to start from, and run the job features for train first."
            )
        photos = read_splits([features], leave_out_copies=True)
        task = tuning_task(images, photos, layout.venom(), config.held_out, settings.seed)
        learner, count = build_learner(model, task.start, settings), len(task.photos)
        here = measured(model, learner, count, settings)
        costs = [here, *estimated(model, count, settings)]
        plan = f"{steps_of(count, settings):,} steps on {count:,} photos, {task.held_out:,} held out: "
        context.log.info(
            f"{plan}about {here.seconds / 60:.0f} minutes at {here.photos_per_second:.1f} photos/s on "
            f"{here.device}, in {here.gib:.1f} GiB."
        )
        if task.never_held_out:
            context.log.warning(
                f"{len(task.never_held_out)} species have too few observations to hold one back, and are "
                f"judged by nothing: class_id {', '.join(map(str, task.never_held_out[:20]))}."
            )
        _observe(context, {"plan": plan, "cost": _costs(costs)})
        if config.dry_run:
            return
        refuse_too_large(here, settings)
        checkpoints = _checkpoints(folder, recipe)
        in_a_step, told = settings.batch * settings.accumulation, 0
        with (
            write_bundle(folder, recipe) as aside,
            progress(context, "fine-tune") as tell,
        ):

            def report(moment: Moment) -> None:
                nonlocal told
                tell(moment.step * in_a_step, moment.steps * in_a_step)
                scored = [row for row in moment.curve if "f1" in row]
                if len(scored) > told:
                    told = len(scored)
                    line = ", ".join(f"{name} {value:.4g}" for name, value in scored[-1].items())
                    context.log.info(f"fine-tune: {line}")
                    _observe(context, {"curve": picture(tuning_chart_png(moment.curve), "loss and scores")})

            curve = finetune(
                model,
                learner,
                task.photos,
                task.scored,
                task.seen,
                settings,
                aside,
                checkpoints,
                task.judge,
                report,
            )
            (aside / CHART_FILE).write_bytes(tuning_chart_png(curve))
            story = {
                "starts_from": f"{model.name} (weights {model.digest[:8]})",
                "photos_learned_from": count,
                "photos_held_out": task.held_out,
                "never_held_out": task.never_held_out,
                "curve": curve,
            }
            (aside / TUNING_FILE).write_text(json.dumps(story, indent=1))
        shutil.rmtree(checkpoints, ignore_errors=True)
        context.add_asset_metadata({"peak_memory_mb": round(peak_memory_bytes() / 2**20)})
    bundle = open_bundle(folder)
    chart = picture(bundle.path(CHART_FILE).read_bytes(), "loss and scores over steps")
    context.add_asset_metadata({"curve": chart})
    yield dg.MaterializeResult(metadata=_shown(bundle), data_version=data_version(bundle.files))


def _observe(context: dg.AssetExecutionContext, metadata: Mapping[str, Any]) -> None:
    """Show something in the UI at once."""
    context.log_event(dg.AssetObservation(asset_key=FINETUNED_BACKBONE, metadata=metadata))


def _checkpoints(folder: AnyPath, recipe: Mapping[str, Json]) -> Path:
    """Where checkpoints of just this tuning lie: in the store, or on this machine if that is in a bucket."""
    place = folder.parent if isinstance(folder, Path) else home()
    checkpoints = place / f"{FINETUNED_BACKBONE}.checkpoints" / fingerprint(recipe)[:16]
    checkpoints.mkdir(parents=True, exist_ok=True)
    return checkpoints


def _costs(costs: Sequence[Cost]) -> dg.MarkdownMetadataValue:
    header = ["device", "photos/s", "hours", "GiB", "fits"]
    rows = [
        [
            cost.device if number == 0 else f"{cost.device}, estimated",
            f"{cost.photos_per_second:,.1f}",
            f"{cost.seconds / 3600:.2f}",
            f"{cost.gib:.1f}",
            "yes" if cost.fits else "no",
        ]
        for number, cost in enumerate(costs)
    ]
    return markdown_table(header, rows)


def _shown(bundle: Bundle) -> dict[str, Any]:
    story = json.loads(bundle.path(TUNING_FILE).read_text())
    scored = [row for row in story["curve"] if "f1" in row]
    names = list(scored[-1])
    return {
        **{name: story[name] for name in ("starts_from", "photos_learned_from", "photos_held_out")},
        "species_never_held_out": some_of(story["never_held_out"]),
        "on_photos_held_out": markdown_table(
            names, [[f"{row[name]:.4g}" if name in row else "" for name in names] for row in scored]
        ),
        "to_use_it": "SNAKE_BACKBONE=finetuned",
        "folder": dg.MetadataValue.path(str(bundle.folder)),
        "bytes": bundle.bytes,
    }
