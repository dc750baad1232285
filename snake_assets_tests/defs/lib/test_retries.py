"""What is tried again and what is not: a fault that passes, bad data, and a config out of range."""

import errno
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.definitions import defs
from snake_assets.defs.assets.crops import CropsConfig
from snake_assets.defs.assets.detector import DetectorConfig
from snake_assets.defs.assets.embeddings import EmbeddingConfig
from snake_assets.defs.assets.figures import MapConfig
from snake_assets.defs.assets.model_package import PackageConfig
from snake_assets.defs.lib import retries as faults
from snake_assets.defs.lib.retries import StepConfig, is_transient, retries_only_what_passes
from snake_assets.snakeclef import DataError
from snake_assets.storage import StorageError
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.defs.assets.test_run import definitions, run_job

AT_ONCE = dg.RetryPolicy(max_retries=faults.TRY_AGAIN.max_retries)


def disk_fault(number: int) -> StorageError:
    """An error of the store as its room raises it: from one of the operating system."""
    try:
        raise OSError(number, "the disk says so")
    except OSError as error:
        try:
            raise StorageError("part-00000.parquet could not be written.") from error
        except StorageError as told:
            return told


def test_some_faults_of_a_disk_pass_and_others_stay():
    for number in (errno.EIO, errno.ETIMEDOUT, errno.ESTALE, errno.ECONNRESET, errno.EAGAIN):
        assert is_transient(OSError(number, "")) and is_transient(disk_fault(number))
    for number in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOENT, errno.EDQUOT):
        assert not is_transient(OSError(number, "")) and not is_transient(disk_fault(number))


def test_a_fault_that_was_dealt_with_does_not_count():
    try:
        try:
            raise OSError(errno.EIO, "")
        except OSError:
            raise DataError("Another run is writing.") from None
    except DataError as error:
        assert not is_transient(error)


@pytest.mark.parametrize(
    ("fault", "times", "ran", "message"),
    [
        (disk_fault(errno.EIO), 2, 3, None),
        (disk_fault(errno.EIO), 99, 4, "part-00000.parquet could not be written. Tried 4 times."),
        (disk_fault(errno.ENOSPC), 99, 1, "part-00000.parquet could not be written."),
        (DataError("train.csv, line 3: mend it."), 99, 1, "train.csv, line 3: mend it."),
        (ZeroDivisionError("by zero"), 99, 1, "ZeroDivisionError: by zero"),
    ],
)
def test_what_passes_is_tried_again_and_what_does_not_ends_the_step_with_its_own_message(
    fault: Exception, times: int, ran: int, message: str | None
):
    """How often the body of an asset runs that fails so often, and what is told."""
    runs = []

    @dg.asset(retry_policy=AT_ONCE)
    @retries_only_what_passes
    def photos() -> None:
        """Photos."""
        runs.append(1)
        if len(runs) <= times:
            raise fault

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([photos], instance=instance, raise_on_error=False)
    assert (len(runs), result.success) == (ran, message is None)
    if message:
        error = result.failure_data_for_node("photos").error
        assert f"Failure: {message}" in error.message and error.cause.message


def test_every_step_of_the_graph_keeps_to_it():
    for asset in defs.resolve_asset_graph().assets_defs:
        if asset.is_executable:
            assert asset.op.retry_policy == faults.TRY_AGAIN, asset.op.name
            with pytest.raises(dg.Failure) as caught:  # without arguments: a fault of ours
                list(asset.op.compute_fn.decorated_fn() or ())
            assert caught.value.allow_retries is False


def test_a_disk_that_is_away_for_a_moment_costs_no_row(
    small_set: Path, demo_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    away = iter([OSError(errno.EIO, "away"), OSError(errno.ESTALE, "away")])
    read = Path.read_bytes

    def flaky(path: Path) -> bytes:
        if path.suffix.lower() == ".jpg" and (fault := next(away, None)):
            raise fault
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", flaky)
    monkeypatch.setattr(faults.TRY_AGAIN.__class__, "calculate_delay", lambda policy, attempt: 0)
    graph = definitions(small_set, tmp_path, demo_backbone)
    result = run_job(graph, ["raw_images", "image_table"], partition_key="val")
    assert result.success
    rejected = [reject.reason for reject in open_table(tmp_path / "image_table" / "val").manifest.rejects]
    assert "missing" in rejected and len(rejected) < 10
    retries = [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert len(retries) == 2


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (EmbeddingConfig, "batch_size", 0),
        (EmbeddingConfig, "resolution", 5000),
        (CropsConfig, "image_size", 100),
        (CropsConfig, "queries", []),
        (MapConfig, "class_ids", [-1]),
        (DetectorConfig, "image_size", 100),
        (DetectorConfig, "learning_rate", 0.0),
        (DetectorConfig, "held_out", 1.0),
        (PackageConfig, "accuracy", 1.5),
        (PackageConfig, "coverage", 1.5),
    ],
)
def test_values_out_of_range_are_refused_by_name(config: type[StepConfig], field: str, value: object):
    with pytest.raises(dg.Failure, match=rf"^{field}.*=.*: ") as refused:
        config(**{field: value})
    assert not refused.value.allow_retries
