"""Runs whose process is gone: Dagster waits for them for ever, and so does whoever wants their slot."""

import dagster as dg
import psutil

# Clocks of the system's start and of today agree to about a second.
TOLERANCE_SECONDS = 2.0


def end_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed, and free the slots of, runs that have started on this machine and run no longer.

    Does nothing where runs may be processes of another machine. Returns the ids of the runs.
    """
    # Where they are used: databases would be loaded with the code location, which must load quickly.
    from dagster._core.launcher import DefaultRunLauncher
    from dagster._core.storage.runs import SqliteRunStorage

    if not isinstance(instance.run_storage, SqliteRunStorage) or not isinstance(
        instance.run_launcher, DefaultRunLauncher
    ):
        return []
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    started = instance.get_runs(dg.RunsFilter(statuses=statuses))
    orphans = [run for run in started if _is_gone(instance, run)]
    for run in orphans:
        instance.report_run_failed(run, "The process of this run is gone: killed, or lost in a restart.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in orphans]


def _is_gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START):
        process = entry.dagster_event.pid if entry.dagster_event else None
        if process is not None:
            return not _was_running(process, entry.timestamp)
    return False


def _was_running(process: int, at: float) -> bool:
    """Whether the process that has this number now is one that ran then: numbers are given again."""
    try:
        found = psutil.Process(process)
        return bool(found.status() != psutil.STATUS_ZOMBIE and found.create_time() <= at + TOLERANCE_SECONDS)
    except psutil.NoSuchProcess:
        return False
