"""The sensor of the inbox and the job that it asks for: from a photo's arrival to its row."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from snake_assets.definitions import build_definitions
from snake_assets.defs.automation import inbox as automation
from snake_assets.defs.lib.partitions import batches
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.storage import Inbox, Store
from snake_assets.identification.inbox import batches_of, read_arrivals
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.gcs.server import Cloud
from snake_assets_tests.identification.conftest import Made, make_package, snake
from snake_assets_tests.places import create_run


@pytest.fixture(scope="module")
def package(demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_package(tmp_path_factory.mktemp("package"), demo_backbone)


@dataclass
class Deployment:
    """An instance with the sensor's cursor, an inbox and a store, which others may share."""

    instance: dg.DagsterInstance
    inbox: AnyPath
    store: AnyPath
    cursor: str | None = None
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.resources = {
            "inbox": Inbox(root=str(self.inbox)),
            "store": Store(root=str(self.store)),
            "backbone": BackboneSetting(device="cpu"),
        }
        self.definitions = build_definitions(resources=self.resources)

    def look(self) -> str | None:
        """The daemon's part; what is asked for is in `asked`. Returns why nothing is."""
        with dg.build_sensor_context(self.instance, cursor=self.cursor) as context:
            told = automation.look(context, self.resources["store"], self.resources["inbox"])
        for request in told.dynamic_partitions_requests or ():
            change = (
                self.instance.add_dynamic_partitions
                if isinstance(request, dg.AddDynamicPartitionsRequest)
                else lambda name, keys: [self.instance.delete_dynamic_partition(name, key) for key in keys]
            )
            change(request.partitions_def_name, request.partition_keys)
        self.cursor = told.cursor or self.cursor
        self.asked = [str(request.partition_key) for request in told.run_requests or ()]
        return told.skip_reason and told.skip_reason.skip_message

    def run(self, batch: str, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def("identify").execute_in_process(
            instance=self.instance, partition_key=batch, raise_on_error=raise_on_error
        )

    def rows(self) -> pl.DataFrame:
        arrivals = read_arrivals(self.store / "arrivals")
        tables = [open_table(self.store / "identifications" / batch) for batch in batches_of(arrivals)]
        return pl.concat(
            [pl.DataFrame(table.read()).with_columns(batch=pl.lit(table.folder.name)) for table in tables]
        )


@pytest.fixture
def deployments(package: Made, tmp_path: Path) -> Iterator[Callable[[], Deployment]]:
    """What gives another deployment that shares inbox and store."""
    (tmp_path / "inbox").mkdir()
    shutil.copytree(package.folder, tmp_path / "store" / "model_package")
    instances: list[dg.DagsterInstance] = []

    def another() -> Deployment:
        instances.append(dg.DagsterInstance.ephemeral())
        return Deployment(instances[-1], tmp_path / "inbox", tmp_path / "store")

    yield another
    for instance in instances:
        instance.dispose()


def test_photos_that_settled_become_a_batch_and_its_answers(
    deployments: Callable[[], Deployment], package: Made, monkeypatch: pytest.MonkeyPatch
):
    here = deployments()
    assert here.look() == "No new photos."
    for photo, _ in package.photos:
        shutil.copy(photo, here.inbox)
    assert "12 new photos are looked at again" in str(here.look())
    # One grows, another is taken away again, and one comes twice.
    (here.inbox / "00.png").write_bytes(snake(0, 500))
    (here.inbox / "01.png").unlink()
    (copy := here.inbox / "copy.png").write_bytes((here.inbox / "02.png").read_bytes())
    here.look()
    (first,) = here.asked
    result = here.run(first)
    (made,) = result.asset_materializations_for_node("identifications")
    told = {name: value.value for name, value in made.metadata.items()}
    assert (told["photos"], told["unreadable"], told["copies_of_known"]) == (10, 0, "none")
    assert told["model"].startswith("backbone ")
    assert told["most_urgent"].startswith("![photos of") and told["venomous"] > 0
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    alerts = [json.loads(line) for line in Path(told["alerts"]).read_text().splitlines()]
    assert len(alerts) == told["venomous"]
    assert {*alerts[0]} == {"path", "species", "p_venomous", "look_alikes"}
    # The photo that grew comes second, the copy not at all.
    here.look()
    (second,) = here.asked
    result = here.run(second)
    (made,) = result.asset_materializations_for_node("identifications")
    assert made.metadata["copies_of_known"].value == "1: `copy.png`"
    assert sorted(here.rows()["path"]) == sorted({path.name for path in here.inbox.iterdir()} - {copy.name})
    assert here.look() == "No new photos."
    # The oldest keys go, and their tables stay.
    monkeypatch.setattr(automation, "MOST_BATCHES", 2)
    (here.inbox / "new.png").write_bytes(snake(1, 501))
    here.look()
    here.look()
    assert here.instance.get_dynamic_partitions(str(batches.name)) == [second, *here.asked]


def test_a_batch_is_asked_for_until_it_is_answered_unless_its_run_said_what_is_wrong(
    deployments: Callable[[], Deployment],
):
    here = deployments()
    (here.inbox / "a.png").write_bytes(snake(0, 1))
    here.look()
    here.look()
    (batch,) = here.asked
    tags = {"dagster/partition": batch}
    run = create_run(here.instance, "identify", dg.DagsterRunStatus.STARTED, tags)
    assert "is at it" in str(here.look())
    here.instance.report_run_failed(run, "The process of this run is gone: it was killed.")
    here.look()
    assert here.asked == [batch]
    promised = create_run(
        here.instance, "identify", dg.DagsterRunStatus.FAILURE, {**tags, "dagster/will_retry": "true"}
    )
    assert f"{promised.run_id[:8]} is at it" in str(here.look())
    here.look()
    assert here.asked == [batch]
    unsent = create_run(here.instance, "identify", dg.DagsterRunStatus.NOT_STARTED, tags)
    assert f"{unsent.run_id[:8]} is at it" in str(here.look())
    here.look()
    assert here.asked == [batch]
    card = here.store / "model_package" / "MODEL_CARD.md"
    text = card.read_text()
    card.write_text("another")
    assert not here.run(batch, raise_on_error=False).success
    assert "ended as FAILURE without answers" in str(here.look())
    card.write_text(text)
    assert here.run(batch).success
    assert here.look() == "No new photos."


def test_two_sensors_and_one_that_forgot_everything_answer_a_content_once(
    deployments: Callable[[], Deployment],
):
    one, other = deployments(), deployments()
    for number in range(4):
        (one.inbox / f"{number}.png").write_bytes(snake(0, number % 3))
    for here in (one, other, one, other):
        here.look()
        here.asked and here.run(here.asked[0])
    assert sorted(one.rows()["path"]) == ["0.png", "1.png", "2.png"]
    one.cursor = None
    assert "No new photos." in str(one.look()) and not one.asked


def test_what_is_not_there_is_said(deployments: Callable[[], Deployment], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SNAKE_INBOX", raising=False)
    here = deployments()
    shutil.rmtree(here.store / "model_package")
    assert "run the job package first" in str(here.look())
    nowhere = Deployment(here.instance, here.inbox / "nowhere", here.store)
    (here.store / "model_package").mkdir()
    (here.store / "model_package" / "package.json").touch()
    with pytest.raises(Exception, match=r"SNAKE_INBOX=.*nowhere is not a folder"):
        nowhere.look()
    unset = Deployment(here.instance, here.inbox, here.store)
    unset.resources["inbox"] = Inbox()
    assert "SNAKE_INBOX is not set" in str(unset.look())


def test_inbox_and_store_may_be_in_a_bucket(
    gcs: Cloud, package: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SNAKE_CACHE", str(tmp_path / "cache"))
    inbox, store = gcs.folder("inbox"), gcs.folder("store")
    for path in package.folder.rglob("*"):
        if path.is_file():
            (store / f"model_package/{path.relative_to(package.folder)}").put_bytes(path.read_bytes())
    photo, _ = package.photos[0]
    for name in ("a.png", "below/copy.png"):
        (inbox / name).put_bytes(photo.read_bytes())
    (inbox / "gone.png").put_bytes(snake(1, 7))
    with dg.DagsterInstance.ephemeral() as instance:
        here = Deployment(instance, inbox, store)
        here.look()
        here.look()
        (inbox / "gone.png").remove((inbox / "gone.png").generation())
        assert here.run(here.asked[0]).success
    rows = dict(here.rows().select("path", "level").iter_rows())
    assert rows["gone.png"] == "unreadable" and rows["a.png"] != "unreadable" and len(rows) == 2
    assert (store / f"identifications/{here.asked[0]}/alerts.jsonl").read_text()
