"""Runs whose process is gone: Dagster waits for them for ever, and so does whoever wants their slot."""

import dagster as dg

from snake_assets.defs.automation.boots import Boot, remember_boots, was_running


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
    boots = remember_boots(instance)
    orphans = [run for run in started if _is_gone(instance, run, boots)]
    for run in orphans:
        instance.report_run_failed(run, "The process of this run is gone: killed, or lost in a restart.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in orphans]


def _is_gone(instance: dg.DagsterInstance, run: dg.DagsterRun, boots: list[Boot]) -> bool:
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START):
        process = entry.dagster_event.pid if entry.dagster_event else None
        if process is not None:
            return not was_running(process, entry.timestamp, boots)
    return False
