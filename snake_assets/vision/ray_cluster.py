"""The Ray cluster of a pass: the one that RAY_ADDRESS names, else one of this machine, while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from snake_assets.vision.errors import EngineError

ADDRESS = "RAY_ADDRESS"
LOOPBACK = "127.0.0.1"
# Ray opens its ports to the network on Linux, and on loopback alone where this is 0 as it is imported.
TO_THE_NETWORK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
# Of a cluster of this machine, for batches on their way; taken as it is used.
OBJECT_STORE_BYTES = 2**30


@dataclass(frozen=True)
class Resources:
    """What a cluster has.

    Attributes:
        where: it is, for messages.
        nodes: machines that have processors.
        processors: of all of them.
        gpus: of all of them.
    """

    where: str
    nodes: int
    processors: float
    gpus: float


@contextmanager
def connected(processors: int) -> Iterator[Resources]:
    """Connect this process; what was started here is stopped here, a cluster that was there goes on.

    Args:
        processors: that a cluster of this machine counts, however many there are.

    Raises:
        EngineError: Ray is not installed, cannot be reached, or cannot be started.
    """
    address = os.environ.get(ADDRESS, "")
    ray = _imported(address)
    if ray.is_initialized():
        yield _resources(ray, address or "this process's cluster")
        return
    if address.startswith("ray://"):
        raise EngineError(
            f"{ADDRESS}={address}: Ray Data needs a node of the cluster under it. Run Dagster on one and set "
            f"{ADDRESS}=auto there."
        )
    of_this_machine = {
        "num_cpus": processors,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_node_ip_address": LOOPBACK,
        # By itself, Ray's workers give way to whatever else the machine does, while the pass waits for them.
        "_system_config": {"worker_niceness": 0},
    }
    try:
        ray.init(
            address=address or "local",
            logging_level="ERROR",
            log_to_driver=False,
            **({} if address else of_this_machine),
        )
    except Exception as error:  # Ray raises nearly anything here
        raise EngineError(
            f"Ray {f'at {ADDRESS}={address} cannot be reached' if address else 'cannot be started here'}: "
            f"{_first_line(error)} "
            + (
                f"Start this on a node of that cluster, or unset {ADDRESS} for a cluster of this machine."
                if address
                else "Set SNAKE_ENGINE=local to do without."
            )
        ) from error
    try:
        if not address and ray.util.get_node_ip_address() != LOOPBACK:
            raise EngineError(
                "Ray was imported before this pass and would listen to the network: start a new process, or "
                f"set {TO_THE_NETWORK}=0 for this one."
            )
        yield _resources(ray, address or "this machine")
    finally:
        ray.shutdown()


def told(error: Exception) -> EngineError:
    """An error of Ray's own in a sentence."""
    return EngineError(
        f"Ray gave up: {_first_line(error)} Its logs, on the machine where it happened, tell more. Run "
        "again: shards that are finished are kept."
    )


def _imported(address: str) -> Any:
    if not address:
        os.environ.setdefault(TO_THE_NETWORK, "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineError(
            "SNAKE_ENGINE is ray, which is not installed: pip install 'snake-assets[ray]', or set "
            f"SNAKE_ENGINE=local. ({error})"
        ) from error
    return ray


def _resources(ray: Any, where: str) -> Resources:
    there = ray.cluster_resources()
    nodes = sum(1 for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU"))
    return Resources(where, nodes, there.get("CPU", 0), there.get("GPU", 0))


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith(".") else f"{line}."
