"""deploy/docker, as far as it can be checked without Docker."""

import re
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
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
VARIABLES = {"PGHOST": "postgres", "PGPORT": "5432", "PGUSER": "snake", "PGPASSWORD": "any"}
TORCH = {"torch", "torchvision", "triton", "cuda-bindings", "cuda-pathfinder"}


@pytest.fixture(params=["as it is", "with all choices"])
def instance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The instance config."""
    for name, value in {**VARIABLES, "PGDATABASE": "dagster", "SNAKE_LOGS_BUCKET": "a-bucket"}.items():
        monkeypatch.setenv(name, value)
    text = (DOCKER / "dagster.yaml").read_text()
    if request.param == "with all choices":
        text = re.sub(r"^compute_logs:\n(  .*\n)+", "", text, flags=re.M)
        text = re.sub(r"^#:", "", text, flags=re.M)
    return yaml.safe_load(text)


def test_the_image_is_not_root_has_no_secret_and_is_made_of_what_is_there_at_its_pins():
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.M)
    assert re.search(r"^HEALTHCHECK ", DOCKERFILE, re.M)
    assert not re.search(r"^(ENV|ARG) .*(PASSWORD|SECRET|TOKEN)", DOCKERFILE, re.M | re.I)
    assert all(":" in base for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.M))
    (version,) = re.findall(r"uv==(\S+)", DOCKERFILE)
    assert f"UV_VERSION := {version}\n" in (PROJECT / "Makefile").read_text()
    assert set(pins(RUNTIME)) < set(pins(DEPLOYED))
    allowed = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.M)
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M)
    copied = [name for line in lines for name in line.split()[:-1]]
    assert sorted(copied) == sorted(allowed)
    assert all((PROJECT / name).exists() for name in copied)


def test_without_cuda_just_torch_and_nvidia_s_libraries_are_left_out():
    (pattern,) = re.findall(r"grep -vE '([^']+)'", DOCKERFILE)
    left_out = {pin.name for pin in pins(DEPLOYED) if re.search(pattern, f"{pin.name}=={pin.version}")}
    page = (PROJECT / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9-]+) \| \d\S* \| (.+) \|$", page, re.M)
    nvidia = {name for name, licence in rows if kind_of(licence) == "NVIDIA"}
    assert nvidia and left_out == nvidia | TORCH


def test_services_are_shut_in_and_there_is_no_default_password():
    passwords = []
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "healthcheck" in service or name == "code", name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service.get("user", "10001") not in ("root", "0"), name
        passwords += [value for key, value in service["environment"].items() if "PASSWORD" in key]
    assert COMPOSE["networks"]["database"]["internal"] is True
    assert len(passwords) == 4
    assert all(re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", value) for value in passwords)


def test_classes_take_the_instance_s_config_and_runs_reach_what_services_reach(
    instance: dict[str, Any], tmp_path: Path
):
    configs = checked(instance, tmp_path)
    assert configs["compute_logs"].get("bucket", "a-bucket") == "a-bucket"
    launcher, code = configs["run_launcher"], COMPOSE["services"]["code"]
    named = {key: value["name"] for part in ("networks", "volumes") for key, value in COMPOSE[part].items()}
    assert sorted(launcher["networks"]) == sorted(named[network] for network in code["networks"])
    volumes = [volume.split(":", 1) for volume in code["volumes"]]
    kwargs = dict(launcher["container_kwargs"])
    assert kwargs.pop("healthcheck") == {"test": ["NONE"]}
    binds = kwargs.pop("volumes")
    assert binds == [f"{named[name]}:{at}" for name, at in volumes]
    assert set(launcher["env_vars"]) == code["environment"].keys() - {"DAGSTER_CURRENT_IMAGE"}
    host = docker.types.HostConfig(version="1.44", binds=binds, **kwargs)
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["ShmSize"] == 8 * 2**30


def test_limits_and_retries_are_everywhere_those_of_dev(instance: dict[str, Any]):
    dev, local = (
        yaml.safe_load((PROJECT / "deploy" / name / "dagster.yaml").read_text()) for name in ("dev", "local")
    )
    assert local.pop("storage") == instance["storage"]
    assert {part: instance[part] for part in dev} == dev == local
