"""What runs the steps of a run: processes beside it, or a pod of Kubernetes for each."""

import os
import time
from collections.abc import Callable
from enum import StrEnum
from typing import cast

import dagster as dg
import yaml
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.executor import multiprocess

from snake_assets.defs.resources.settings import SettingError, choice, setting

VARIABLE, CONFIG_VARIABLE = "SNAKE_EXECUTOR", "SNAKE_EXECUTOR_CONFIG"

# Every step is a process of its own, forked from a server that has loaded once what every step needs, and
# nothing heavier: a step then starts in a fraction of the seconds that a fresh interpreter takes. Dagster
# opens its storage with alembic, and pyarrow imports pandas by itself wherever that is installed.
EVERY_STEP_NEEDS = ["snake_assets.definitions", "dagster._core.storage.sqlite_storage", "pandas"]
STEPS_FROM_A_WARM_SERVER = {"start_method": {"forkserver": {"preload_modules": EVERY_STEP_NEEDS}}}

SECONDS_BETWEEN_LOOKS = 0.02


class PatientClaims(InstanceConcurrencyContext):
    """A run's claims of slots in pools, with a pause after each that is in vain.

    Dagster's executor of processes (1.13.27; its pull request 20367 was closed) pauses nowhere while all
    steps of a run wait for slots: such a run takes a whole processor from the one that it waits for.
    """

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Whether the step has its slot."""
        claimed = super().claim(concurrency_key, step_key, step_priority)
        if not claimed:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return claimed


class ExecutorName(StrEnum):
    """What runs steps."""

    processes = "processes"
    k8s = "k8s"


@dg.executor(name="steps", config_schema={}, requirements=dg.multiple_process_executor_requirements())
def steps(context: dg.InitExecutorContext) -> dg.Executor:
    """Processes (Dagster's multiprocess executor), or with SNAKE_EXECUTOR=k8s pods (k8s_job_executor).

    The deployment decides, not the code: the same definitions run on a laptop and on a cluster.

    Raises:
        SettingError: an executor that there is not, or a config that k8s_job_executor does not take.
    """
    name = choice(setting(None, VARIABLE, ExecutorName.processes), VARIABLE, tuple(ExecutorName))
    if name == ExecutorName.k8s:
        executor = _pods()
    else:
        multiprocess.InstanceConcurrencyContext = PatientClaims  # type: ignore[attr-defined]
        executor = dg.multiprocess_executor.configured(STEPS_FROM_A_WARM_SERVER)
    taken = executor.apply_config_mapping({"config": {}})
    if taken.errors:
        raise SettingError(f"{CONFIG_VARIABLE} is no config of k8s_job_executor: {taken.errors[0].message}")
    config = cast("dict[str, dict[str, object]]", taken.value)["config"]
    create = cast("Callable[[dg.InitExecutorContext], dg.Executor]", executor.executor_creation_fn)
    return create(dg.InitExecutorContext(context.job, context.executor_def, config, context.instance))


def _pods() -> dg.ExecutorDefinition:
    try:
        from dagster_k8s import k8s_job_executor
    except ModuleNotFoundError:
        raise SettingError(
            f"{VARIABLE}=k8s needs the package dagster-k8s: install requirements-deploy.lock."
        ) from None
    try:
        config = yaml.safe_load(os.environ.get(CONFIG_VARIABLE) or "{}")
    except yaml.YAMLError as error:
        raise SettingError(f"{CONFIG_VARIABLE} is no YAML: {error}") from None
    if not isinstance(config, dict):
        raise SettingError(f"{CONFIG_VARIABLE} has to be a mapping, the config of k8s_job_executor, in YAML.")
    return k8s_job_executor.configured(config)
