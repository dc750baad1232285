"""What the classifier is worth: the validation report."""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg

from snake_assets.defs.assets.classifier import species_classifier
from snake_assets.defs.assets.dependencies import feature_tables, on_features
from snake_assets.defs.lib.metadata import column_schema, data_version, markdown_table, picture, some_of
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.identification.evaluation import OPERATION_FILE, REPORT_PHOTOS, judge_operation
from snake_assets.identification.thresholds import Species
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.classifier_io import trained_on_features
from snake_assets.learning.evaluation.history import HISTORY_FILE, Scored, read_history, write_history
from snake_assets.learning.evaluation.report import (
    PREDICTIONS_FILE,
    REPORT_VERSION,
    SCORES_FILE,
    judge,
    write_report,
)
from snake_assets.learning.reading import read_splits
from snake_assets.plots.charts import history_chart_png
from snake_assets.plots.report import CHARTS, MISTAKES_FILE, PAGE_FILE, write_pictures
from snake_assets.snakeclef.image_table import class_balance, observation_order, observation_truth
from snake_assets.storage import StorageError
from snake_assets.storage.bundles import Bundle, is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.io import parquet_file
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.embedding.tables import of_each_backbone

SPLITS = ("train", "val")
HISTORY_CHART_FILE = "history.png"
# Tell of earlier reports too, so they say nothing about whether this one is another.
NOT_OF_THIS_REPORT = {HISTORY_FILE, HISTORY_CHART_FILE}
# What the last classifier on frozen vectors answered, beside the report of a fine-tuned backbone.
FROZEN_FILE = "frozen.json"
NO_FROZEN = (
    "This store holds no report of a frozen backbone on this val, to be held against: run the job snakeclef "
    "with SNAKE_BACKBONE as it was before the tuning, then with `finetuned` again."
)
SCORE_TITLES = {"track1": "Track 1", "track2": "Track 2", "f1": "macro F1", "accuracy": "accuracy"}


@dg.asset(
    deps=[species_classifier, *on_features("val")],
    group_name="classifier",
    kinds={"python", "parquet", "html"},
    code_version=str(REPORT_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def validation_report(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store, crops: Crops
) -> dg.MaterializeResult[None]:
    """The official scores on val, which nothing before this asset has seen, with intervals, beside chance.

    Every observation of the metadata counts: one whose photos could not be read is answered by the safest
    species and named here. Other ways of answering stand beside the classifier's own: each decision rule, the
    head alone, the nearest photos alone. Shows where the classifier goes wrong: species by species, venomous
    taken for harmless, the most costly mistakes beside the training photos that resemble them, and photos
    that stand in train too. Of a fine-tuned backbone, the answers that the store's last report of a frozen
    one gave stand beside its own, with the paired difference. Where a species has no venom status, Track 1,
    Track 2 and all else that takes it are left out, and `venom_not_known` says so. report.html tells all of
    it in one page; scores.json, species.csv, leakage.csv and predictions.parquet hold the figures, and
    history.json the scores of every report before. Scores are in percent, Track 2 is a cost. If it fails
    because the metadata has changed, materialize val's features first: the job features with the partition
    val.
    """
    source = raw_data.source(store)
    if reason := raw_data.left_out("val", store, source):
        context.log.warning(reason)
        return dg.MaterializeResult(metadata={"left_out": reason})
    layout = raw_data.layout(store, source)
    venomous, rows = layout.venom(), layout.rows("val")
    train_images, val_images = (open_table(store.folder("image_table", split)) for split in SPLITS)
    embeddings = {split: feature_tables(store, split, crops) for split in SPLITS}
    order, truth = observation_order(rows, val_images), observation_truth(rows)
    classifier = open_bundle(store.folder("species_classifier"))
    tuned = any("tuned_on" in of for of in of_each_backbone(embeddings["train"][0].manifest.recipe))
    recipe: dict[str, Json] = {
        "version": REPORT_VERSION,
        "classifier": classifier.digest,
        "backbone": trained_on_features(classifier.inside),
        "tuned": tuned,
        "image_table": [train_images.manifest.digest, val_images.manifest.digest],
        "embeddings": {
            split: [table.manifest.digest for table in tables] for split, tables in embeddings.items()
        },
        "venom_list": layout.venom_digest(),
        "truth": fingerprint(truth),
    }
    folder = store.folder("validation_report")
    if not is_current(folder, recipe):
        judged = SpeciesClassifier.load(classifier.inside)
        without, of_train = judged.recipe.leave_out_copies, embeddings["train"]
        # At the official size all blocks of train are 2 GB.
        train = read_splits(of_train, only_cls=True, leave_out_copies=without)
        val = read_splits(embeddings["val"])
        frozen = _frozen(folder, order) if tuned else None
        judgement = judge(
            judged,
            train,
            val,
            order,
            truth,
            venomous,
            class_balance(val_images, venomous).names | class_balance(train_images, venomous).names,
            {f"frozen: {frozen['backbone']}": frozen["answers"]} if frozen else {},
        )
        named = [str(judgement.names[one]) for one in judged.class_ids.tolist()]
        known = read_splits(of_train, leave_out_copies=without, most_photos=REPORT_PHOTOS)
        species = Species.of(named, judged.venomous)
        operation = judge_operation(judged, known, species, venomous, progress=context.log.info)
        with write_bundle(folder, recipe) as aside:
            write_report(judgement, aside)
            write_pictures(judgement, val_images, train_images, aside, operation)
            if operation:
                (aside / OPERATION_FILE).write_text(operation.model_dump_json(indent=1), encoding="utf-8")
            if frozen:
                (aside / FROZEN_FILE).write_text(json.dumps(frozen))
            scores = {name: getattr(judgement.scores, name) for name in SCORE_TITLES}
            entry = Scored(classifier=classifier.digest, observations=len(order), **scores)
            history = (*read_history(folder), entry)
            write_history(history, aside)
            (aside / HISTORY_CHART_FILE).write_bytes(history_chart_png(history))
    bundle = open_bundle(folder)
    context.add_asset_metadata(_pictures(bundle))
    shown = _shown(bundle)
    if gap := shown.get("venom_not_known"):
        context.log.warning(gap)
    if tuned and FROZEN_FILE not in bundle.files:
        context.log.warning(NO_FROZEN)
        shown["over_frozen"] = NO_FROZEN
    told = {name: digest for name, digest in bundle.files.items() if name not in NOT_OF_THIS_REPORT}
    return dg.MaterializeResult(metadata=shown, data_version=data_version(told))


def _frozen(folder: AnyPath, order: Sequence[str]) -> dict[str, Any] | None:
    """Backbone and answers of the last report of a frozen one; None without one of these observations."""
    try:
        earlier = open_bundle(folder)
    except StorageError:
        return None
    if FROZEN_FILE in earlier.files:
        told: dict[str, Any] = json.loads(earlier.path(FROZEN_FILE).read_text())
    elif earlier.recipe.get("tuned") is not False:
        return None
    else:
        rows = parquet_file(earlier.path(PREDICTIONS_FILE)).read(["observation_id", "predicted"])
        answers = dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        # Without how it looks at photos, which the page has no room for.
        backbone = str(earlier.recipe["backbone"]).partition(", photos")[0]
        told = {"backbone": backbone, "answers": answers}
    return told if set(order) <= told["answers"].keys() else None


def _over_frozen(variants: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By how many points of Track 1 and F1 the classifier is above that on frozen vectors."""
    for row in variants:
        if row["name"].startswith("frozen: "):
            own, told = variants[0], {"f1": round(variants[0]["f1"] - row["f1"], 2)}
            if row["track1_gain"] is None:
                return {"over_frozen": told}
            low, high = row["track1_gain"]
            told |= {"track1": round(own["track1"] - row["track1"], 2), "interval": [-high, -low]}
            return {"over_frozen": told}
    return {}


def _shown(bundle: Bundle) -> dict[str, Any]:
    scores = json.loads(bundle.path(SCORES_FILE).read_text())
    schema = parquet_file(bundle.path(PREDICTIONS_FILE)).schema_arrow
    columns = [(field.name, str(field.type)) for field in schema]
    titles = {name: title for name, title in SCORE_TITLES.items() if scores[name] is not None}
    told = ("venom_not_known", "rates", "errors")
    return {
        **{name: scores[name] for name in titles},
        "scores": markdown_table(
            ["", "val", "95 % interval", "chance"],
            [
                [
                    title,
                    scores[name],
                    " to ".join(map(str, scores["intervals"].get(name, ["none: one observation"]))),
                    scores["chance"][name],
                ]
                for name, title in titles.items()
            ],
        ),
        "variants": markdown_table(
            ["way of answering", "observations", *titles.values()],
            [
                [row["name"], row["observations"], *(row[name] for name in titles)]
                for row in scores["variants"]
            ],
        ),
        **_over_frozen(scores["variants"]),
        **{name: scores[name] for name in told if scores.get(name) is not None},
        "observations": scores["observations"],
        "unreadable_observations": some_of(scores["unreadable_observations"]),
        "unknown_class_ids": some_of(scores["unknown_class_ids"]),
        "observations_with_copies_in_train": some_of(scores["leakage"]["observations"]),
        "calibration": scores["calibration"],
        "dagster/row_count": scores["observations"],
        **column_schema(bundle.folder.name, columns),
        "report": dg.MetadataValue.path(str(bundle.shown(PAGE_FILE))),
        "predictions": dg.MetadataValue.path(str(bundle.shown(PREDICTIONS_FILE))),
        "folder": dg.MetadataValue.path(str(bundle.folder)),
    }


def _pictures(bundle: Bundle) -> dict[str, dg.MetadataValue]:
    return {
        **{
            name: picture(bundle.path(chart.file).read_bytes(), chart.title)
            for name, chart in CHARTS.items()
            if chart.file in bundle.files
        },
        "scores_over_reports": picture(
            bundle.path(HISTORY_CHART_FILE).read_bytes(), "scores of one report after the other"
        ),
        "most_costly_mistakes": picture(
            bundle.path(MISTAKES_FILE).read_bytes(), "the most costly mistakes", "webp"
        ),
    }
