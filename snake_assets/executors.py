"""What runs the steps of a run: processes beside it, or a pod of Kubernetes for each."""

import os
from collections.abc import Callable
from enum import StrEnum
from typing import cast

import dagster as dg
import yaml

from snake_assets.settings import SettingError, choice, setting

VARIABLE, CONFIG_VARIABLE = "SNAKE_EXECUTOR", "SNAKE_EXECUTOR_CONFIG"

# Every step is a process of its own, forked from a server that has loaded the code location, and nothing
# heavy, once: a step then starts in a fraction of the seconds that a fresh interpreter takes.
STEPS_FROM_A_WARM_SERVER = {"start_method": {"forkserver": {"preload_modules": ["snake_assets.definitions"]}}}


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
