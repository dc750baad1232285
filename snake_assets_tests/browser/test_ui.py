"""What people see and do in the UI: `dagster dev -w workspace.yaml`, a headless browser, nothing between.

The tests share one server, and those behind the first work on what its backfill has made.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from snake_assets.definitions import defs
from snake_assets.defs.assets.model_package import PACKAGE
from snake_assets.identification.batch import IDENTIFICATIONS
from snake_assets.vision.embedding.tables import CROP_EMBEDDINGS
from snake_assets.vision.preprocessing.regions import CROPS
from snake_assets_tests.browser.ui import BACKFILLS, RUNS, Box, Ui, browser_page
from snake_assets_tests.graph import described
from snake_assets_tests.serving import Servers, dev, until
from snake_assets_tests.watching import Watch

pytestmark = pytest.mark.browser

ASSETS = described(defs)["assets"]
GROUPS = sorted({asset["group"] for asset in ASSETS.values()})
# Without SNAKE_CROPS, SNAKE_BOXES and SNAKE_INBOX.
OFF = {CROPS, CROP_EMBEDDINGS, "snake_detector", IDENTIFICATIONS}
SCHEDULE, SPLITS = "backfill_missing_splits", ("train", "val", "test")
# Turns of the wheel at which all assets are in the window, with their names alone.
FAR_OUT = 300


@dataclass(frozen=True)
class Site:
    """A server, a browser at it, and the photos that were spoilt on purpose."""

    ui: Ui
    servers: Servers
    watch: Watch
    store: Path
    broken: str
    twin: str

    def runs(self, job: str) -> list[dict[str, object]]:
        """The job's runs: id, status, split."""
        found = self.servers.ask(RUNS, filter={"pipelineName": job})["runsOrError"]["results"]
        return [
            {**run, "split": {tag["key"]: tag["value"] for tag in run["tags"]}.get("dagster/partition")}
            for run in found
        ]


@pytest.fixture(scope="module")
def site(small_set: Path, demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("served")
    data = root / "data"
    shutil.copytree(small_set, data)
    photos = {split: sorted((data / split).rglob("*.jpg")) for split in ("train", "val")}
    whole = {split: [path for path in paths if path.stat().st_size > 4000] for split, paths in photos.items()}
    broken, twin = whole["val"][0], whole["val"][-1]
    broken.write_bytes(broken.read_bytes()[:1500])
    shutil.copyfile(whole["train"][0], twin)
    settings = {
        "SNAKE_DATA": str(data),
        "SNAKE_STORE": str(root / "store"),
        "SNAKE_BACKBONE": str(demo_backbone),
        "SNAKE_DEVICE": "cpu",
    }
    watch = Watch(root / "watch")
    with (
        dev(root / "home", settings | watch.environment, "snake_assets_tests.quick") as servers,
        browser_page(1900, 1500) as page,
    ):
        yield Site(Ui(page, servers.url), servers, watch, root / "store", broken.name, twin.name)


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    """The site after "Materialize all" over all splits, launched in the UI and run under the daemon."""
    site.ui.open_graph(GROUPS)
    site.ui.materialize_all()

    def backfills() -> list[str]:
        return [one["status"] for one in site.servers.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]]

    until(backfills, "a backfill")
    site.ui.page.goto("about:blank")  # a page that is drawn anew all the time takes a processor from the runs

    def done() -> bool:
        assert not backfills()[0].endswith(("FAILED", "CANCELED"))
        return backfills() == ["COMPLETED_SUCCESS"]

    until(done, "the backfill from the UI has succeeded")
    return site


def whole_names(drawn: list[tuple[str, Box]]) -> dict[str, Box]:
    """Shapes by asset, where the graph shortens long names in their middle.

    Two that are shortened alike are taken in any order: they are of one step, and read the same.
    """
    found: dict[str, Box] = {}
    for words, shape in drawn:
        start, _, end = words.partition("…")
        fits = [
            name
            for name in ASSETS
            if name == words or ("…" in words and name.startswith(start) and name.endswith(end))
        ]
        found[next(name for name in fits if name not in found)] = shape
    return found


def test_the_graph_shows_every_asset_in_its_group_from_left_to_right(site: Site):
    site.ui.open_graph(GROUPS, smaller=FAR_OUT)
    found = until(
        lambda: every if len(every := site.ui.drawn()) == len(ASSETS) + len(GROUPS) else None, "all drawn"
    )
    # An asset may have its group's name, and is then the smaller of the two.
    sizes = sorted(found, key=lambda shape: shape[1].width * shape[1].height)
    assets, groups = whole_names(sizes[: len(ASSETS)]), dict(sizes[len(ASSETS) :])
    assert groups.keys() == set(GROUPS)
    assert assets.keys() == ASSETS.keys()
    for name, asset in ASSETS.items():
        assert groups[asset["group"]].holds(assets[name]), name
        for parent in asset["reads"]:
            assert assets[parent].right <= assets[name].left, f"{parent} is not left of {name}"


def test_a_backfill_of_all_splits_from_the_ui_makes_everything_that_is_on(filled: Site):
    for name, asset in ASSETS.items():
        if name in OFF:
            assert not (filled.store / name).exists(), name
            continue
        last = "package.json" if name == PACKAGE else "_manifest.json"
        folders = [filled.store / name / split for split in (SPLITS if asset["partitions"] else ("",))]
        assert all((folder / last).is_file() for folder in folders), name


def test_wrong_values_are_refused_in_the_launchpad_or_as_the_step_starts(site: Site):
    page, config = site.ui.page, "ops:\n  species_classifier:\n    config:\n      "
    for of_another_kind in ("rule: coin", "folds: five"):
        site.ui.type_config("train", config + of_another_kind)
        page.get_by_text(re.compile("not in enum type|is not valid for expected type")).first.wait_for()
        assert page.get_by_role("button", name="Launch run").is_disabled()
    site.ui.type_config("train", config + "folds: 1")
    page.get_by_role("button", name="Launch run").click()
    page.get_by_text("folds=1: Input should be greater than or equal to 2").first.wait_for()
    until(lambda: [run["status"] for run in site.runs("train")] == ["FAILURE"], "the run has failed")


@pytest.mark.parametrize(
    ("asset", "keys"),
    [
        ("image_table", ["thumbnails"]),
        ("species_histogram", ["histogram"]),
        ("embedding_map", ["map"]),
        (
            "validation_report",
            ["scores_with_intervals", "venomous_against_harmless", "reliability", "scores_over_reports"],
        ),
        ("ablation_study", ["ablation"]),
    ],
)
def test_pages_of_assets_show_pictures_that_fit_the_window(filled: Site, asset: str, keys: list[str]):
    filled.ui.open_asset(asset)
    for key in keys:
        width, height = filled.ui.show_picture(key)
        assert 300 < width <= 860
        assert height > 200


def test_pages_of_assets_explain_columns_and_show_what_failed(filled: Site):
    said = filled.ui.open_asset("image_table")
    assert "SHA-256 digest of the photo file's bytes" in said
    assert "Row count" in said
    said = filled.ui.open_asset("image_table", "partitions", partition="val")
    assert filled.broken in said
    assert "truncated" in said


def test_checks_pass_and_the_planted_copy_is_a_warning(filled: Site):
    said = filled.ui.open_check("image_table", "image_ids_unique")
    assert "No image_id stands twice in a split." in said
    assert "Passed" in said
    said = filled.ui.open_check("dinov2_embeddings", "photos_in_one_split")
    assert "as the same file: 1" in said
    filled.ui.page.get_by_role("img", name="warning").first.wait_for()
    filled.ui.unfold("offenders")
    filled.ui.page.get_by_text(filled.twin).first.wait_for()


def test_a_switched_on_schedule_asks_for_what_is_missing_and_never_twice(filled: Site):
    before = len(filled.runs("features"))
    shutil.rmtree(filled.store / "image_table" / "test")
    shutil.rmtree(filled.store / "dct_embeddings" / "val")
    filled.ui.switch_on(SCHEDULE)
    assert "2 run requests" in filled.ui.tick(SCHEDULE)
    assert "is at it" in filled.ui.tick(SCHEDULE)

    def done() -> bool:
        runs = filled.runs("features")
        assert len(runs) == before + 2
        assert not any(run["status"] == "FAILURE" for run in runs)
        return all(run["status"] == "SUCCESS" for run in runs)

    until(done, "both runs of the schedule have succeeded")
    assert {run["split"] for run in filled.runs("features")[:2]} == {"val", "test"}
    assert "up to date" in filled.ui.tick(SCHEDULE)
    assert len(filled.runs("features")) == before + 2


def test_nothing_so_far_has_asked_anything_of_anybody_but_this_machine_or_listened_to_others(site: Site):
    site.ui.open_graph(GROUPS)
    asked = [urlsplit(url) for url in site.ui.requested]
    assert {url.hostname for url in asked if url.scheme not in ("data", "blob")} == {"127.0.0.1"}
    assert {"http", "ws"} <= {url.scheme for url in asked}
    assert site.watch.reached == []
    (started,) = site.servers.processes.values()
    listening = [
        connection.laddr.ip
        for process in (psutil.Process(started.pid), *psutil.Process(started.pid).children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening and set(listening) <= {"127.0.0.1", "::1"}
