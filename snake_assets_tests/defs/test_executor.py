"""What runs steps is the deployment's choice, and a wrong one is named."""

import builtins
from collections.abc import Mapping
from typing import Any

import dagster as dg
import kubernetes.config
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.executor import multiprocess
from dagster._core.test_utils import create_run_for_test

from snake_assets.defs import executor as executors
from snake_assets.defs.executor import steps
from snake_assets.defs.resources.settings import SettingError


@dg.job(executor_def=steps)
def nothing() -> None:
    """A job to be run by it."""


@pytest.fixture
def executor(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch):
    """The executor under some variables."""

    def make(**variables: str) -> dg.Executor:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return steps.executor_creation_fn(
            dg.InitExecutorContext(
                job=InMemoryJob(nothing), executor_def=steps, executor_config={}, instance=instance
            )
        )

    return make


@pytest.fixture
def in_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this were a pod."""
    monkeypatch.setattr(kubernetes.config, "load_incluster_config", lambda: None)


def test_steps_are_processes_unless_something_else_is_set(executor):
    assert type(executor()).__name__ == "MultiprocessExecutor"
    assert type(executor(SNAKE_EXECUTOR="processes")).__name__ == "MultiprocessExecutor"


def test_a_run_that_waits_for_a_slot_pauses_between_its_looks(
    executor, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    executor()
    pauses: list[float] = []
    monkeypatch.setattr(executors.time, "sleep", pauses.append)
    slots = instance.event_log_storage
    slots.set_concurrency_slots("one_at_a_time", 1)
    holder, waiting = (create_run_for_test(instance, job_name="nothing") for _ in range(2))
    # As the executor of processes makes it.
    with (
        multiprocess.InstanceConcurrencyContext(instance, holder) as first,
        multiprocess.InstanceConcurrencyContext(instance, waiting) as second,
    ):
        assert first.claim("one_at_a_time", "step") and pauses == []
        looks = [second.claim("one_at_a_time", "step") for _ in range(3)]
        assert looks == [False] * 3 and pauses == [executors.SECONDS_BETWEEN_LOOKS] * 3
        first.free_step("step")
    slots.delete_concurrency_limit("one_at_a_time")


@pytest.mark.usefixtures("in_a_cluster")
def test_steps_are_pods_where_that_is_set(executor):
    made = executor(SNAKE_EXECUTOR="k8s", SNAKE_EXECUTOR_CONFIG="max_concurrent: 7")
    assert type(made).__name__ == "StepDelegatingExecutor"
    assert made._max_concurrent == 7


def test_an_executor_that_there_is_not_is_named(executor):
    with pytest.raises(SettingError, match="SNAKE_EXECUTOR='pods' is not one of processes, k8s"):
        executor(SNAKE_EXECUTOR="pods")


@pytest.mark.parametrize(
    ("config", "told"),
    [("max_concurent: 7", "max_concurent"), ("a: b: c", "no YAML"), ("- 1", "has to be a mapping")],
)
def test_a_config_that_it_does_not_take_is_named(executor, config: str, told: str):
    with pytest.raises(SettingError, match=f"SNAKE_EXECUTOR_CONFIG.*{told}"):
        executor(SNAKE_EXECUTOR="k8s", SNAKE_EXECUTOR_CONFIG=config)


def test_without_its_package_it_says_what_to_install(executor, monkeypatch: pytest.MonkeyPatch):
    really = builtins.__import__

    def without(name: str, globals_: Mapping[str, Any] | None = None, *others: Any) -> Any:
        if name == "dagster_k8s":
            raise ModuleNotFoundError(name)
        return really(name, globals_, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingError, match=r"requirements-deploy\.lock"):
        executor(SNAKE_EXECUTOR="k8s")
