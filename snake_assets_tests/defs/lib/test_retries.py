"""What is tried again and what is not: a fault that passes, bad data, and a config out of range."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.definitions import build_definitions, defs
from snake_assets.defs.assets.crops import CropsConfig
from snake_assets.defs.assets.embeddings import EmbeddingConfig
from snake_assets.defs.assets.figures import MapConfig
from snake_assets.defs.lib import retries as faults
from snake_assets.defs.lib.retries import StepConfig, is_transient, retries_only_what_passes
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef import DataError
from snake_assets.storage import StorageError
from snake_assets.storage.tables.table import open_table

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


def attempts(fault: Exception, times: int) -> tuple[int, dg.ExecuteInProcessResult]:
    """How often the body of an asset ran that fails so often."""
    ran = []

    @dg.asset(retry_policy=AT_ONCE)
    @retries_only_what_passes
    def photos() -> None:
        """Photos."""
        ran.append(1)
        if len(ran) <= times:
            raise fault

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([photos], instance=instance, raise_on_error=False)
    return len(ran), result


def test_a_fault_that_passes_is_tried_again():
    ran, result = attempts(disk_fault(errno.EIO), 2)
    assert (ran, result.success) == (3, True)


def test_a_fault_that_does_not_pass_ends_the_step_with_its_own_message():
    ran, result = attempts(disk_fault(errno.EIO), 99)
    assert (ran, result.success) == (1 + faults.TRY_AGAIN.max_retries, False)
    message = result.failure_data_for_node("photos").error.message
    assert "part-00000.parquet could not be written. Tried 4 times." in message


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (DataError("train.csv, line 3: mend it."), "train.csv, line 3: mend it."),
        (disk_fault(errno.ENOSPC), "part-00000.parquet could not be written."),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_bad_data_runs_once(fault: Exception, message: str):
    ran, result = attempts(fault, 99)
    assert (ran, result.success) == (1, False)
    error = result.failure_data_for_node("photos").error
    assert error.message.strip() == f"dagster._core.definitions.events.Failure: {message}"
    assert error.cause.message


def test_every_step_of_the_graph_keeps_to_it():
    for asset in defs.resolve_asset_graph().assets_defs:
        if not asset.is_executable:
            continue
        assert asset.op.retry_policy == faults.TRY_AGAIN, asset.op.name
        with pytest.raises(dg.Failure) as caught:
            exhaust(asset.op.compute_fn.decorated_fn)
        assert caught.value.allow_retries is False
    assert faults.TRY_AGAIN.backoff == dg.Backoff.EXPONENTIAL
    assert faults.TRY_AGAIN.jitter is not None


def exhaust(body: Callable[..., object]) -> None:
    """Call a body without its arguments: a fault of ours."""
    returned = body()
    if isinstance(returned, Iterator):
        list(returned)


def test_a_disk_that_is_away_for_a_moment_costs_no_row(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    away = iter([OSError(errno.EIO, "away"), OSError(errno.ESTALE, "away")])
    read = Path.read_bytes

    def flaky(path: Path) -> bytes:
        if path.suffix.lower() == ".jpg" and (fault := next(away, None)):
            raise fault
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", flaky)
    graph = build_definitions(
        resources={"raw_data": RawData(root=str(small_set)), "store": Store(root=str(tmp_path))}
    )
    job = dg.define_asset_job("alone", selection=["raw_images", "image_table"], op_retry_policy=AT_ONCE)
    monkeypatch.setattr(faults.TRY_AGAIN.__class__, "calculate_delay", lambda policy, attempt: 0)
    with dg.DagsterInstance.ephemeral() as instance:
        merged = dg.Definitions.merge(graph, dg.Definitions(jobs=[job]))
        result = merged.resolve_job_def("alone").execute_in_process(instance=instance, partition_key="val")
    assert result.success
    assert len(result.events_for_node("image_table")) > 0
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
    ],
)
def test_values_out_of_range_are_refused_by_name(config: type[StepConfig], field: str, value: object):
    with pytest.raises(dg.Failure, match=rf"^{field}.*=.*: ") as refused:
        config(**{field: value})
    assert not refused.value.allow_retries
