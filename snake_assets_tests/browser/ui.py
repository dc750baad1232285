"""The parts of Dagster's UI that people use here, driven in headless Chromium."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Milliseconds that the UI may take to show something, on a machine that is busy with a run.
PATIENCE = 60_000
RUNS = """query Runs($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results {
  id jobName status tags { key value } } } } }"""
LAUNCH = """mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on PythonError { message } } }"""
BACKFILLS = """{ partitionBackfillsOrError { ... on PartitionBackfills { results {
  id status numPartitions error { message } } } } }"""


def launch_of(
    job: str, run_config: object = None, tags: Mapping[str, str] | None = None
) -> dict[str, object]:
    """What the mutation `LAUNCH` takes as `params`."""
    return {
        "selector": {
            "repositoryLocationName": "snake_assets",
            "repositoryName": "__repository__",
            "pipelineName": job,
        },
        "runConfigData": run_config or {},
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
    }


@dataclass(frozen=True)
class Box:
    """A rectangle on the page, in pixels from its upper left corner."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Of the right side."""
        return self.left + self.width

    def holds(self, other: "Box") -> bool:
        """Whether the other one lies within."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.top + other.height <= self.top + self.height
        )


@contextmanager
def browser_page(width: int, height: int) -> Iterator[Page]:
    """A page of the machine's own Chromium, or of the one that Playwright has installed."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        try:
            yield page
        finally:
            browser.close()


class Ui:
    """What a person can do in the UI at `url`, on one page. `requested` lists the URLs that it asked for."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.requested: list[str] = []
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("websocket", lambda socket: self.requested.append(socket.url))

    def open_graph(self, groups: Sequence[str], smaller: int = 0) -> None:
        """The whole graph with these groups opened, once it is drawn; `smaller` zooms out by the wheel."""
        opened = ",".join(f"global@global:{group}" for group in groups)
        self.page.goto(f"{self.url}/asset-groups?{urlencode({'expanded': opened})}")
        self.page.locator("foreignObject").get_by_text("image_table").first.wait_for()
        if smaller:
            size = self.page.viewport_size or {"width": 0, "height": 0}
            self.page.mouse.move(size["width"] * 0.6, size["height"] / 2)
            self.page.keyboard.down("Control")
            self.page.mouse.wheel(0, smaller)
            self.page.keyboard.up("Control")

    def drawn(self) -> list[tuple[str, Box]]:
        """All groups and assets that the graph shows: what stands on them, and where they are."""
        found = []
        for shape in self.page.locator("foreignObject").all():
            box, words = shape.bounding_box(), shape.text_content() or ""
            if box and words:
                found.append((words, Box(box["x"], box["y"], box["width"], box["height"])))
        return found

    def materialize_all(self) -> None:
        """Press "Materialize all" in the graph and launch a backfill of all partitions."""
        self.page.get_by_role("button", name="Materialize all").click()
        self.page.get_by_role("button", name="All", exact=True).click()
        self.page.get_by_role("button", name="Launch backfill").click()
        self.page.get_by_text("Partition selection").wait_for(state="detached")

    def open_asset(self, asset: str, view: str = "overview", **query: str) -> str:
        """A page of an asset; returns what it says once its metadata or checks are there."""
        self.page.goto(f"{self.url}/assets/{asset}?{urlencode({'view': view, **query})}")
        awaited = "Execution history" if view == "checks" else "folder"
        self.page.get_by_text(awaited, exact=True).first.wait_for()
        return self.page.inner_text("body")

    def open_check(self, asset: str, check: str) -> str:
        """The page of one check; returns what it says."""
        self.open_asset(asset, "checks")
        self.page.get_by_text(check, exact=True).first.click()
        self.page.get_by_text("Evaluation result").wait_for()
        return self.page.inner_text("body")

    def show_picture(self, key: str) -> tuple[int, int]:
        """Open the picture of a metadata key on the asset's page; returns its width and height in pixels."""
        self.unfold(key)
        picture = self.page.locator("img[src^='data:image/']")
        picture.wait_for()
        size = picture.evaluate("image => [image.naturalWidth, image.naturalHeight]")
        self.page.get_by_role("button", name="Close").click()
        picture.wait_for(state="detached")
        return size[0], size[1]

    def unfold(self, key: str) -> None:
        """Open the window of a metadata entry that is too long for its line."""
        row = self.page.locator("tr").filter(has=self.page.get_by_text(key, exact=True))
        row.get_by_text("[Show Markdown]").click()

    def type_config(self, job: str, text: str) -> None:
        """Put a text into a job's launchpad, in place of what is there."""
        self.page.goto(f"{self.url}/locations/snake_assets/jobs/{job}/playground")
        self.page.locator(".CodeMirror").first.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def switch_on(self, schedule: str) -> None:
        """Open a schedule's page and turn it on, if it is off."""
        self._open_schedule(schedule)
        switch = self.page.get_by_role("checkbox")
        if not switch.is_checked():
            switch.locator("xpath=..").click()
        self.page.get_by_text("Next tick").wait_for()

    def tick(self, schedule: str) -> str:
        """Let a schedule look now, launch all that it asks for, and return what it said."""
        self._open_schedule(schedule)
        self.page.get_by_role("button", name="Preview tick result").click()
        self.page.get_by_role("button", name="Continue").click()
        self.page.get_by_text("Requested runs").wait_for()
        said = self.page.get_by_role("dialog").inner_text()
        launch = self.page.get_by_role("button", name="Launch all")
        if launch.count():
            launch.click()
            self.page.wait_for_url("**/runs**")
        return said

    def _open_schedule(self, schedule: str) -> None:
        self.page.goto(f"{self.url}/locations/snake_assets/schedules/{schedule}")
        self.page.get_by_role("button", name="Preview tick result").wait_for()
