"""What a check is, and the step that runs several.

A check looks at all splits that are in the store, so that what the UI shows of it is true of all of them.
A split that fails blocks only a run that made it: in a run of val, a fault of train is shown and does not
block. Checks have no partitions themselves: Dagster 1.13 cannot execute a partitioned check on its own, and
loses the splits of one that is run for several.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import dagster as dg

from snake_assets.data_quality.findings import Findings, changed_files
from snake_assets.defs.assets.dependencies import CROP_TABLES
from snake_assets.defs.lib.metadata import SHOWN, markdown_table
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.settings import Limits
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.layouts.layout import Layout
from snake_assets.snakeclef.layouts.official import OFFICIAL
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.storage import StorageError
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import Table, open_table

ROOM_ERRORS = (StorageError, DataError, LearningError)
EVERYWHERE = "all"


@dataclass(frozen=True)
class Site:
    """Where checks look: the raw data, the store, whether crops are on, and the limits of warnings."""

    raw_data: RawData
    store: Store
    crops: Crops
    limits: Limits

    def tables(self, name: str) -> dict[str, Table]:
        """The table of every split that has it; none of crops that are off, which nothing reads."""
        if name in CROP_TABLES and self.crops.checked() is CropMode.none:
            return {}
        folders = {split: self.store.folder(name, split) for split in SPLITS}
        return {split: open_table(folder) for split, folder in folders.items() if read_manifest(folder)}

    def venomous(self) -> dict[int, bool]:
        """What is known of venom."""
        return self.layout.venom()

    @property
    def is_official(self) -> bool:
        """Whether the raw data is an entrant's, whose venom list is to have every class."""
        return self.layout.name == OFFICIAL

    @cached_property
    def layout(self) -> Layout:
        """The raw data in its layout, read once for all checks of a step."""
        return self.raw_data.layout(self.store)


Examination = Callable[[Site], Mapping[str, Findings]]


@dataclass(frozen=True)
class Check:
    """One check of one asset.

    Attributes:
        promise: a sentence that is true when the check passes; it is what the UI shows then.
        examine: findings by split, or by whatever else is compared; none where there is nothing to look at.
        blocking: a split of the run that fails stops what is downstream; otherwise a failure is a warning.
    """

    asset: str
    name: str
    promise: str
    description: str
    examine: Examination
    blocking: bool = True

    @property
    def spec(self) -> dg.AssetCheckSpec:
        """What Dagster is told of the check before it runs."""
        return dg.AssetCheckSpec(
            self.name, asset=self.asset, description=self.description, blocking=self.blocking
        )

    def result(self, site: Site, made: Sequence[str]) -> dg.AssetCheckResult:
        """Examine, and say in a sentence what came out; `made` are the splits that the run made."""
        try:
            findings = self.examine(site)
        except ROOM_ERRORS as error:
            findings = {EVERYWHERE: Findings([str(error)])}
        faulty = {place: found for place, found in findings.items() if found.faults}
        # What is not of one split, as a submission is, is of every run that has it.
        made = [split for split in made if split in faulty and not site.raw_data.left_out(split, site.store)]
        blocks = self.blocking and any(place in made or place not in SPLITS for place in faulty)
        return dg.AssetCheckResult(
            asset_key=self.asset,
            check_name=self.name,
            passed=not faulty,
            severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
            description=self._sentence(findings, faulty),
            metadata=_shown(findings, faulty) if findings else {},
        )

    def _sentence(self, findings: Mapping[str, Findings], faulty: Mapping[str, Findings]) -> str:
        if not findings:
            return f"Off: the store holds nothing of {self.asset} to look at."
        if not faulty:
            notes = [f"{place}: {found.note}" for place, found in findings.items() if found.note]
            return f"{' '.join(notes) or self.promise} Looked at: {', '.join(findings)}."
        return " ".join(f"{place}: {_headline(found)}." for place, found in faulty.items())


def step(name: str, checks: Sequence[Check]) -> dg.AssetChecksDefinition:
    """All of `checks` in one step; each can be executed on its own."""
    by_key = {check.spec.key: check for check in checks}

    @dg.multi_asset_check(
        name=name, specs=[check.spec for check in checks], can_subset=True, retry_policy=TRY_AGAIN
    )
    @retries_only_what_passes
    def run_checks(
        context: dg.AssetCheckExecutionContext, raw_data: RawData, store: Store, crops: Crops, limits: Limits
    ) -> Iterator[dg.AssetCheckResult]:
        site = Site(raw_data, store, crops, limits)
        of_splits = context.has_partition_key or context.has_partition_key_range
        made = context.partition_keys if of_splits else SPLITS
        for key in sorted(context.selected_asset_check_keys):
            yield by_key[key].result(site, made)

    return run_checks


def each(tables: Mapping[str, Table], examine: Callable[[Table], Findings]) -> dict[str, Findings]:
    """The findings of every split; what a room refuses to read is a fault of that split."""
    findings = {}
    for split, table in tables.items():
        try:
            findings[split] = examine(table)
        except ROOM_ERRORS as error:
            findings[split] = Findings([str(error)])
    return findings


def files_unchanged(asset: str) -> Check:
    """The check of a table's files, whatever is in them."""
    return Check(
        asset,
        "files_unchanged",
        "Every shard is the file that was committed.",
        "Reads every split's shards in full and holds their SHA-256 against the manifest's; of a store in a "
        "bucket, the digest that was noted with each object. Reading a table refuses changed values by "
        "itself; this finds them before they are needed. A change means a failing disk, or somebody at "
        "work in the store. When it fails, remove the files that it names and materialize the table for the "
        "split: only what is missing is made anew.",
        lambda site: each(site.tables(asset), changed_files),
    )


def _headline(found: Findings) -> str:
    more = f" (and {len(found.faults) - 1:,} more)" if len(found.faults) > 1 else ""
    return found.headline or found.faults[0].rstrip(".") + more


def _shown(findings: Mapping[str, Findings], faulty: Mapping[str, Findings]) -> dict[str, dg.MetadataValue]:
    names = list(dict.fromkeys(name for found in findings.values() for name in found.figures))
    rows = [
        [place, len(found.faults), *(found.figures.get(name, "") for name in names)]
        for place, found in findings.items()
    ]
    faults = [f"{place}: {fault}" for place, found in faulty.items() for fault in found.faults]
    lines = [f"- {fault}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"- … and {len(faults) - SHOWN:,} more")
    return {
        "faults": dg.MetadataValue.int(len(faults)),
        "looked_at": markdown_table(["", "faults", *names], rows),
        "offenders": dg.MetadataValue.md("\n".join(lines) or "none"),
    }
