"""The answers to the photos of the inbox."""

from collections.abc import Iterator

import dagster as dg

from snake_assets.defs.assets.model_package import PACKAGE, model_package
from snake_assets.defs.lib.metadata import (
    markdown_table,
    picture,
    progress,
    some_of,
    split_version,
    table_metadata,
)
from snake_assets.defs.lib.partitions import ON_DEVICE, batches
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.settings import setting
from snake_assets.defs.resources.storage import Inbox, Store
from snake_assets.identification.batch import (
    ALERTS,
    ANSWERS_VERSION,
    IDENTIFICATIONS,
    answer,
    most_urgent,
    probable_venomous,
)
from snake_assets.identification.exports import UNKNOWN
from snake_assets.identification.identify import IdentificationError
from snake_assets.identification.inbox import ARRIVALS, Arrival, copies_in, photos_of, read_arrivals
from snake_assets.identification.package import load_package
from snake_assets.plots.photo_sheets import abbreviated, answer_sheet

NO_VENOMOUS = "no_probable_venomous"
# Sheets are in the event log, of every batch.
SHOWN = 10


@dg.asset(
    name=IDENTIFICATIONS,
    partitions_def=batches,
    deps=[model_package],
    group_name="inbox",
    kinds={"python", "parquet"},
    code_version=str(ANSWERS_VERSION),
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
    check_specs=[
        dg.AssetCheckSpec(
            NO_VENOMOUS,
            asset=IDENTIFICATIONS,
            description="Warns where a snake of the batch is probably medically important venomous, or is "
            "answered so; alerts.jsonl beside the table names the photos. When it warns, look at them: a "
            "prediction is a guess, and whoever was bitten calls the emergency number first.",
        )
    ],
)
@retries_only_what_passes
def identifications(
    context: dg.AssetExecutionContext, store: Store, inbox: Inbox, backbone: BackboneSetting
) -> Iterator[dg.MaterializeResult[None]]:
    """What the model says of a batch of photos from the inbox: the table of `snake-assets predict`.

    One row a photo, one photo a content: a copy of what is answered already is no row. A photo that cannot
    be read, or is gone by now, is a row with an `error`. With another model_package, a backfill over chosen
    batches answers them anew, and the answers of before stay beside the table as earlier-….parquet. If it
    fails because there is no package, run the job package first.
    """
    package = load_package(store.local_folder(PACKAGE), setting(backbone.device, "SNAKE_DEVICE", "auto"))
    root, arrivals = inbox.folder(), read_arrivals(store.folder(ARRIVALS))
    digests, alarming = {}, list[str]()
    for batch in context.partition_keys:
        photos = photos_of(batch, arrivals, root)
        if not photos:
            raise IdentificationError(
                f"{batch!r} is no batch of {store.folder(ARRIVALS)}: name one that new_photos made."
            )
        with progress(context, f"identify {batch}") as report:
            table = answer(store.folder(IDENTIFICATIONS, batch), batch, photos, package, report)
        shown = _sheet(most_urgent(table, SHOWN), photos)
        alerts, levels = probable_venomous(table, package), table.read(["level"])["level"].to_pylist()
        digests[batch] = table.manifest.digest
        alarming += [f"{batch}: {row['path']}, {row['answer']}" for row in alerts]
        context.add_asset_metadata(
            {
                **table_metadata(table),
                "model": package.name,
                "inbox": dg.MetadataValue.path(str(root)),
                "photos": len(photos),
                "unknown": levels.count("unknown"),
                "venomous": len(alerts),
                "unreadable": levels.count("unreadable"),
                "copies_of_known": some_of(copies_in(batch, arrivals)),
                "alerts": dg.MetadataValue.path(str(table.folder / ALERTS)),
                "answers": markdown_table(
                    ["answer", "photos"], _most_frequent(table.read(["answer"])["answer"].to_pylist())
                ),
                "most_urgent": picture(shown, f"photos of {batch}", "webp"),
            },
            partition_key=batch,
        )
    yield dg.MaterializeResult(
        data_version=split_version(context, digests),
        check_results=[
            dg.AssetCheckResult(
                check_name=NO_VENOMOUS,
                passed=package.species.venomous is not None and not alarming,
                severity=dg.AssetCheckSeverity.WARN,
                description="The model does not know which species are venomous: any snake may be."
                if package.species.venomous is None
                else f"{len(alarming)} photos with a probable venomous snake."
                if alarming
                else f"No photo with a probable venomous snake in {', '.join(digests)}.",
                metadata={"photos": some_of(alarming)},
            )
        ],
    )


def _most_frequent(answers: list[str]) -> list[list[object]]:
    counts = {name: answers.count(name) for name in dict.fromkeys(answers) if name}
    return [[name, count] for name, count in sorted(counts.items(), key=lambda one: -one[1])[:SHOWN]]


def _sheet(rows: list[dict[str, str]], photos: list[Arrival]) -> bytes:
    """The photos of some rows with their answers."""
    by_path = {photo.path: photo for photo in photos}
    shown = []
    for row in rows:
        try:
            data = by_path[row["path"]].read()
        except OSError:
            data = b""
        shown.append((data, abbreviated(row["answer"]) if row["answer"] != UNKNOWN else UNKNOWN))
    return answer_sheet(shown)
