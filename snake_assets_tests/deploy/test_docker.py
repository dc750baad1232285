"""deploy/docker, as far as it can be checked without Docker."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker.types
import pytest
import yaml

from snake_assets_tests.deploy.instances import checked
from supply.kinds import kind_of
from supply.locks import DEPLOYED, PROJECT, RUNTIME, pins

DOCKER = PROJECT / "deploy" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
VARIABLES = {
    "PGHOST": "postgres",
    "PGPORT": "5432",
    "PGUSER": "snake",
    "PGPASSWORD": "any",
    "PGDATABASE": "dagster",
    "SNAKE_LOGS_BUCKET": "a-bucket",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


@pytest.fixture(params=["as it is", "with all choices"])
def instance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The instance config."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    text = (DOCKER / "dagster.yaml").read_text()
    if request.param == "with all choices":
        text = re.sub(r"^compute_logs:\n(  .*\n)+", "", text, flags=re.M)
        text = re.sub(r"^#:", "", text, flags=re.M)
    return yaml.safe_load(text)


def passes(*command: str) -> None:
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_dockerfile_has_no_lint():
    passes(str(Path(sys.executable).parent / "hadolint"), str(DOCKER / "Dockerfile"))


def test_the_compose_file_has_its_form():
    schema = ("--builtin-schema", "vendor.compose-spec")
    passes(sys.executable, "-m", "check_jsonschema", *schema, str(DOCKER / "compose.yaml"))


def test_the_image_is_not_root_and_has_a_health_check():
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.M)
    assert re.search(r"^HEALTHCHECK ", DOCKERFILE, re.M)
    assert not re.search(r"^(ENV|ARG) .*(PASSWORD|SECRET|TOKEN)", DOCKERFILE, re.M | re.I)
    assert all(":" in base for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.M))


def test_pins_are_installed_before_code_is_copied():
    lock, code = DOCKERFILE.index("COPY requirements-deploy.lock"), DOCKERFILE.index("COPY snake_assets")
    assert lock < DOCKERFILE.index("uv pip install --no-deps -r") < code
    (version,) = re.findall(r"uv==(\S+)", DOCKERFILE)
    assert f"UV_VERSION := {version}\n" in (PROJECT / "Makefile").read_text()


def test_what_is_copied_is_there_and_reaches_the_build():
    allowed = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.M)
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M) for name in line.split()[:-1]
    ]
    assert sorted(copied) == sorted(allowed)
    assert all((PROJECT / name).exists() for name in copied)


def test_the_lock_of_deployments_is_the_runtime_s_and_more():
    assert set(pins(RUNTIME)) < set(pins(DEPLOYED))


def test_without_cuda_just_torch_and_nvidia_s_libraries_are_left_out():
    (pattern,) = re.findall(r"grep -vE '([^']+)'", DOCKERFILE)
    left_out = {pin.name for pin in pins(DEPLOYED) if re.search(pattern, f"{pin.name}=={pin.version}")}
    page = (PROJECT / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9-]+) \| \d\S* \| (.+) \|$", page, re.M)
    nvidia = {name for name, licence in rows if kind_of(licence) == "NVIDIA"}
    assert nvidia and left_out - nvidia == {
        "torch",
        "torchvision",
        "triton",
        "cuda-bindings",
        "cuda-pathfinder",
    }
    assert nvidia <= left_out


def test_services_are_shut_in(compose: dict[str, Any]):
    assert compose["services"].keys() == {"postgres", "code", "webserver", "daemon"}
    for name, service in compose["services"].items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "healthcheck" in service or name == "code", name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service.get("user", "10001") not in ("root", "0"), name
    assert compose["networks"]["database"]["internal"] is True


def test_there_is_no_default_password(compose: dict[str, Any]):
    found = {
        (name, variable): value
        for name, service in compose["services"].items()
        for variable, value in service["environment"].items()
        if "PASSWORD" in variable
    }
    assert len(found) == 4
    assert all(re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", value) for value in found.values())


def test_classes_take_the_config_of_the_instance(instance: dict[str, Any]):
    configs = checked(instance)
    assert {"run_launcher", "compute_logs", "local_artifact_storage"} == configs.keys()
    assert configs["compute_logs"].get("bucket", "a-bucket") == "a-bucket"


def test_runs_reach_what_services_reach(instance: dict[str, Any], compose: dict[str, Any]):
    launcher = checked(instance)["run_launcher"]
    code = compose["services"]["code"]
    named = {key: value["name"] for part in ("networks", "volumes") for key, value in compose[part].items()}
    assert sorted(launcher["networks"]) == sorted(
        compose["networks"][name]["name"] for name in code["networks"]
    )
    volumes = [volume.split(":", 1) for volume in code["volumes"]]
    assert launcher["container_kwargs"]["volumes"] == [f"{named[name]}:{at}" for name, at in volumes]
    assert set(launcher["env_vars"]) == code["environment"].keys() - {"DAGSTER_CURRENT_IMAGE"}


def test_docker_takes_what_containers_of_runs_are_made_with(instance: dict[str, Any]):
    kwargs = dict(checked(instance)["run_launcher"]["container_kwargs"])
    assert kwargs.pop("healthcheck") == {"test": ["NONE"]}
    binds = kwargs.pop("volumes")
    host = docker.types.HostConfig(version="1.44", binds=binds, **kwargs)
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["ShmSize"] == 8 * 2**30


def test_limits_and_retries_are_those_of_one_machine(instance: dict[str, Any]):
    local = yaml.safe_load((PROJECT / "deploy" / "local" / "dagster.yaml").read_text())
    assert {part: instance[part] for part in local} == local
