"""From vectors to species: the classifier that is judged, and the one that answers."""

from collections.abc import Mapping
from enum import StrEnum

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.dependencies import feature_tables, on_features
from snake_assets.defs.lib.metadata import data_version, markdown_table, some_of
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.classifier_io import trained_on_features
from snake_assets.learning.decision.rules import venom_gap
from snake_assets.learning.errors import LearningError
from snake_assets.learning.reading import made_by, read_splits
from snake_assets.learning.settings import Positive, Recipe, Share
from snake_assets.learning.train import CLASSIFIER_VERSION, refit, train_classifier
from snake_assets.snakeclef.image_table import copies_under_two_species
from snake_assets.snakeclef.layouts.layout import Layout
from snake_assets.snakeclef.layouts.official import OFFICIAL
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json

DEFAULT = Recipe()
FINAL_CLASSIFIER = "final_classifier"
# The job whose run answers with the classifier that is there.
PREDICT = "predict"


class DecisionRule(StrEnum):
    """How probabilities become a species."""

    argmax = "argmax"
    track1 = "track1"
    track2 = "track2"


class ClassifierConfig(StepConfig):
    """How the classifier is trained; the defaults are the good ones."""

    strengths: list[Positive] = Field(
        default=list(DEFAULT.strengths),
        min_length=1,
        description="Inverse regularisation strengths of the head to choose among, above 0 each: C as in "
        "scikit-learn.",
    )
    shares: list[Share] = Field(
        default=list(DEFAULT.shares),
        min_length=1,
        description="Shares of the nearest photos' votes in the answer to choose among, 0 to below 1 each.",
    )
    rule: DecisionRule = Field(
        default=DecisionRule.argmax,
        description="argmax: the most probable species; track1 or track2: the species of least expected loss "
        "of that score, where every species has a venom status. The validation report shows all three.",
    )
    epochs: int = Field(
        default=DEFAULT.epochs,
        ge=1,
        le=1000,
        description="Passes over the training photos, 1 to 1,000; small sets get 300 steps at least.",
    )
    folds: int = Field(
        default=DEFAULT.folds, ge=2, le=50, description="Folds of train, grouped by observation, 2 to 50."
    )
    seed: int = Field(
        default=DEFAULT.seed,
        ge=0,
        description="Seed of folds and training, 0 or more; the same seed, the same classifier.",
    )
    leave_out_copies: bool | None = Field(
        default=None,
        description="Leave photos that have an exact copy under another species out of training: at most one "
        "of the labels can be right. Default: yes, but in the official layout.",
    )

    def recipe(self, layout: Layout) -> Recipe:
        """The room's own settings, for raw data in this layout."""
        told = self.model_dump(mode="json")
        if self.leave_out_copies is None:
            told["leave_out_copies"] = layout.name != OFFICIAL
        return Recipe.model_validate(told)


@dg.asset(
    deps=on_features("train"),
    group_name="classifier",
    kinds={"pytorch", "safetensors"},
    code_version=str(CLASSIFIER_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def species_classifier(
    context: dg.AssetExecutionContext, config: ClassifierConfig, raw_data: RawData, store: Store, crops: Crops
) -> dg.MaterializeResult[None]:
    """A classifier of species on frozen embeddings, trained on train alone.

    One linear head on all blocks of the embeddings, blended with the votes of the nearest training photos.
    The head's regularisation and the votes' share are chosen on folds of train that never part an observation
    or two copies of a photo, exact or near; the table below shows all candidates. Written as
    model.safetensors and classifier.json. Scores are in percent, of observations held out on the folds. If it
    fails, the message says which species, feature or setting stands in the way.
    """
    tables = feature_tables(store, "train", crops)
    layout = raw_data.layout(store)
    venomous, chosen = layout.venom(), config.recipe(layout)
    recipe: dict[str, Json] = {
        "version": CLASSIFIER_VERSION,
        "recipe": chosen.model_dump(mode="json"),
        "embeddings": {table.manifest.table: table.manifest.digest for table in tables},
        "venom_list": layout.venom_digest(),
    }
    folder = store.folder("species_classifier")
    if not is_current(folder, recipe):
        features = read_splits(tables, leave_out_copies=chosen.leave_out_copies)
        classifier = train_classifier(
            features, venomous, chosen, features.fingerprint or "", context.log.info
        )
        with write_bundle(folder, recipe) as aside:
            classifier.save(aside)
    bundle = open_bundle(folder)
    classifier = SpeciesClassifier.load(bundle.inside)
    copies = copies_under_two_species(tables[0]).values() if chosen.leave_out_copies else ()
    choice = classifier.choice
    candidates = [candidate.model_dump(exclude_none=True) for candidate in choice.candidates]
    rows = layout.rows("train")
    names = {
        row.class_id: row.binomial_name for row in rows if row.class_id is not None and row.binomial_name
    }
    gap = venom_gap(classifier.class_ids.tolist(), venomous, names)
    if gap:
        context.log.warning(gap)
    return dg.MaterializeResult(
        metadata={
            "species": len(classifier.class_ids),
            "features": " + ".join(classifier.features),
            "strength": choice.best.strength,
            "share_of_the_nearest_photos": choice.best.share,
            "temperature": round(choice.best.temperature, 3),
            "decision_rule": classifier.rule,
            "observations_held_out": choice.held_out,
            "photos_left_out": some_of([image_id for group in copies for image_id, _ in group]),
            **{f"{name}_on_folds": candidates[0][name] for name in ("track1", "f1") if name in candidates[0]},
            **({"venom_not_known": gap} if gap else {}),
            "candidates": markdown_table(list(candidates[0]), [list(one.values()) for one in candidates]),
            "folder": dg.MetadataValue.path(str(folder)),
            "bytes": bundle.bytes,
        },
        data_version=data_version(bundle.files),
    )


class FinalConfig(StepConfig):
    """What the classifier that answers has learned from."""

    refit_on_train_and_val: bool = Field(
        default=True,
        description="Train the chosen recipe again on train and val together: more photos, nothing chosen "
        "anew. Off, what answers is exactly the classifier that the validation report judged.",
    )


@dg.asset(
    deps=[species_classifier, *on_features("val")],
    group_name="classifier",
    kinds={"pytorch", "safetensors"},
    code_version=str(CLASSIFIER_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def final_classifier(
    context: dg.AssetExecutionContext, config: FinalConfig, raw_data: RawData, store: Store, crops: Crops
) -> dg.MaterializeResult[None]:
    """The classifier that answers, in submission and package: what species_classifier chose, trained again.

    By default on train and val together, or on train alone where the raw data has no val; `photos` says how
    many of each. Nothing is chosen here, and the report judges species_classifier, which has not seen val.
    Answering needs nothing of training but this: the same two files. If it fails, the message says which
    features are missing or were made by another backbone.
    """
    trained = open_bundle(store.folder("species_classifier"))
    splits = ["train"]
    if config.refit_on_train_and_val and not raw_data.left_out("val", store):
        splits.append("val")
    tables = {split: feature_tables(store, split, crops) for split in splits}
    layout = raw_data.layout(store)
    recipe: dict[str, Json] = {
        "version": CLASSIFIER_VERSION,
        "classifier": trained.digest,
        "embeddings": {split: [table.manifest.digest for table in own] for split, own in tables.items()},
        "venom_list": layout.venom_digest(),
    }
    folder = store.folder(FINAL_CLASSIFIER)
    if not is_current(folder, recipe):
        classifier = SpeciesClassifier.load(trained.inside)
        if "val" in splits:
            without = classifier.recipe.leave_out_copies
            labelled = read_splits(*tables.values(), leave_out_copies=without)
            classifier = refit(classifier, labelled, layout.venom())
        with write_bundle(folder, recipe) as aside:
            classifier.save(aside)
    bundle = open_bundle(folder)
    photos = {split: own[0].manifest.rows_out for split, own in tables.items()}
    return dg.MaterializeResult(
        metadata={
            "species": len(SpeciesClassifier.load(bundle.inside).class_ids),
            "photos": photos,
            "folder": dg.MetadataValue.path(str(folder)),
            "bytes": bundle.bytes,
        },
        data_version=data_version(bundle.files),
    )


def refuse_what_it_cannot_answer(
    store: Store, recipes: Mapping[str, Mapping[str, Json]], crops: Crops
) -> None:
    """Before a pass over photos that are to be answered: is there a classifier for what the pass will give?

    Args:
        store: where the classifier is.
        recipes: by table of whole photos that the pass would make.
        crops: whether there will be some.

    Raises:
        StorageError: there is none.
        LearningError: it was trained on features of another backbone or view.
    """
    trained_on = trained_on_features(open_bundle(store.folder(FINAL_CLASSIFIER)).inside)
    whole, _, crop = trained_on.partition(" and crops ")
    now = made_by(recipes)
    if whole != now:
        raise LearningError(
            f"The classifier was trained on features of {whole}; set now is {now}. Set SNAKE_BACKBONE, "
            "SNAKE_PRECISION and the view in the config of `embeddings` as they were, or run the job "
            "snakeclef, which trains another classifier."
        )
    if bool(crop) is (crops.checked() is CropMode.none):
        raise LearningError(
            f"The classifier was trained {'with' if crop else 'without'} crops, and SNAKE_CROPS is "
            f"{crops.checked().value}: set it as it was, or run the job snakeclef, which trains another one."
        )
