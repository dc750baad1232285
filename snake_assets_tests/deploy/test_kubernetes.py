"""deploy/kubernetes, as far as it can be checked without a cluster: by the classes that take it."""

import re
from pathlib import Path
from typing import Any

import kubernetes.client
import yaml
from dagster_k8s import DagsterK8sJobConfig, construct_dagster_k8s_job, k8s_job_executor
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict

from deploy.kubernetes.definitions import STEPS, defs
from snake_assets.defs.lib.partitions import ON_DEVICE
from snake_assets_tests.deploy.instances import checked, class_config
from supply.locks import PROJECT

KUBERNETES = PROJECT / "deploy" / "kubernetes"
VALUES: dict[str, Any] = yaml.safe_load((KUBERNETES / "values.yaml").read_text())
(CODE,) = VALUES["dagster-user-deployments"]["deployments"]
# What the chart adds to the config of the launcher.
BY_THE_CHART = {
    "service_account_name": "snake-assets",
    "instance_config_map": "dagster-instance",
    "dagster_home": "/opt/dagster/dagster_home",
    "postgres_password_secret": "snake-assets-postgresql",
}


def snake_case(config: dict[str, Any]) -> dict[str, Any]:
    """Keys as Dagster writes them; values are left alone."""
    return {
        re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", key): value for key, value in config.items()
    }


def pod_of(config: dict[str, Any]) -> kubernetes.client.V1PodSpec:
    """The pod that Dagster makes of a config in the form of the tag dagster-k8s/config."""
    job = DagsterK8sJobConfig(job_image="an/image:1", dagster_home="/opt/dagster")
    made = construct_dagster_k8s_job(job, ["dagster"], "step", UserDefinedDagsterK8sConfig.from_dict(config))
    return made.spec.template.spec


def test_launcher_and_logs_take_their_config():
    config = snake_case(VALUES["runLauncher"]["config"]["k8sRunLauncher"])
    config["run_k8s_config"] = snake_case(config["run_k8s_config"])
    taken = class_config("dagster_k8s", VALUES["runLauncher"]["type"], {**BY_THE_CHART, **config})
    pod = pod_of(taken["run_k8s_config"])
    assert pod.security_context.run_as_non_root and pod.security_context.run_as_user == 10001
    assert pod.containers[0].security_context.capabilities.drop == ["ALL"]
    logs = VALUES["computeLogManager"]
    config = snake_case(logs["config"]["gcsComputeLogManager"])
    taken = class_config("dagster_gcp.gcs.compute_log_manager", logs["type"], config)
    assert taken["bucket"] == "BUCKET-LOGS"


def test_limits_retries_and_monitoring_are_those_of_one_machine_but_for_sizes(tmp_path: Path):
    daemon, limits = VALUES["dagsterDaemon"], VALUES["concurrency"]
    instance = {
        "concurrency": {"runs": snake_case(limits["runs"])},
        "run_monitoring": snake_case(daemon["runMonitoring"]),
        "run_retries": snake_case(daemon["runRetries"]),
        "telemetry": VALUES["telemetry"],
    }
    checked(instance, tmp_path)
    dev = yaml.safe_load((PROJECT / "deploy" / "dev" / "dagster.yaml").read_text())
    assert instance["run_retries"] == dev["run_retries"] and instance["telemetry"] == dev["telemetry"]
    (of_a_split,) = instance["concurrency"]["runs"]["tag_concurrency_limits"]
    assert (of_a_split["key"], of_a_split["limit"]) == ("dagster/partition", 1)
    # The chart refuses limits in both places.
    assert daemon["runCoordinator"]["config"] == {"queuedRunCoordinator": {}}


def test_steps_that_keep_the_device_busy_and_no_others_get_a_gpu():
    taken = k8s_job_executor.configured(STEPS).apply_config_mapping({"config": {}})
    assert taken.success, [error.message for error in taken.errors]
    steps = taken.value["config"]
    jobs = [defs.resolve_job_def(name) for name in ("snakeclef", "detector")]
    accelerated = {node.name for job in jobs for node in job.nodes if ON_DEVICE.items() <= node.tags.items()}
    assert steps["per_step_k8s_config"].keys() == accelerated
    for config in steps["per_step_k8s_config"].values():
        pod = pod_of(config)
        assert pod.containers[0].resources.limits["nvidia.com/gpu"] == "1"
        assert pod.node_selector == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
        assert {mount.name for mount in pod.containers[0].volume_mounts} >= {"shm"}
        assert pod.volumes[-1].empty_dir.medium == "Memory"
    assert "nvidia.com/gpu" not in pod_of(steps["step_k8s_config"]).containers[0].resources.limits


def test_runs_are_given_what_the_code_server_has_and_the_chart_is_of_dagster_s_release():
    assert CODE["includeConfigInLaunchedRuns"] == {"enabled": True}
    assert CODE["dagsterApiGrpcArgs"] == ["-f", "/opt/dagster/definitions.py"]
    dockerfile = (PROJECT / "deploy" / "docker" / "Dockerfile").read_text()
    assert "deploy/kubernetes/definitions.py /opt/dagster/" in dockerfile
    assert all(CODE["env"][name].startswith("gs://") for name in ("SNAKE_DATA", "SNAKE_STORE"))
    (pinned,) = re.findall(r"^dagster==(\S+)", (PROJECT / "requirements.lock").read_text(), re.M)
    assert f"--version {pinned}" in (KUBERNETES / "README.md").read_text()


def test_there_is_no_password_no_key_no_way_in_from_outside_and_no_root():
    assert "postgresqlPassword" not in VALUES["postgresql"]
    assert VALUES["generatePostgresqlPasswordSecret"] is False and VALUES["global"]["postgresqlSecretName"]
    assert "iam.gke.io/gcp-service-account" in VALUES["serviceAccount"]["annotations"]
    assert VALUES["serviceAccount"]["name"] == VALUES["global"]["serviceAccountName"]
    assert VALUES["ingress"]["enabled"] is False
    assert VALUES["dagsterWebserver"]["service"]["type"] == "ClusterIP"
    for server in (VALUES["dagsterWebserver"], VALUES["dagsterDaemon"], CODE):
        pod = k8s_model_from_dict(
            kubernetes.client.V1PodSecurityContext, snake_case(server["podSecurityContext"])
        )
        assert pod.run_as_non_root and pod.run_as_user == 10001
        shut = k8s_model_from_dict(kubernetes.client.V1SecurityContext, snake_case(server["securityContext"]))
        assert shut.allow_privilege_escalation is False and shut.capabilities.drop == ["ALL"]


def test_the_ray_cluster_has_its_form():
    ray = yaml.safe_load((KUBERNETES / "raycluster.yaml").read_text())
    assert (ray["apiVersion"], ray["kind"]) == ("ray.io/v1", "RayCluster")
    pins = (PROJECT / "requirements-deploy.lock").read_text().splitlines()
    assert f"ray=={ray['spec']['rayVersion']}" in pins
    (workers,) = ray["spec"]["workerGroupSpecs"]
    images = set()
    for group in (ray["spec"]["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        template = kubernetes.client.V1PodTemplateSpec
        pod = k8s_model_from_dict(template, k8s_snake_case_dict(template, group["template"])).spec
        (container,) = pod.containers
        assert pod.security_context.run_as_non_root
        assert container.resources.limits == container.resources.requests
        images.add(container.image)
    assert len(images) == 1
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert container.resources.limits["nvidia.com/gpu"] == "1"
