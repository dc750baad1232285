"""Remakes the README's pictures of the UI from the demo set:  make screenshots

Runs `snakeclef` and `package` on the drawn set in a store and an instance of their own, then takes
docs/graph.png, docs/asset.png, docs/report.png and docs/page.png, and tells how large the event log is.
"""

import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page

from benchmarks.page import page_server
from snake_assets.definitions import defs
from snake_assets.defs.resources.settings import home
from snake_assets_tests.browser.ui import LAUNCH, RUNS, Ui, browser_page, launch_of
from snake_assets_tests.graph import described
from snake_assets_tests.serving import PROJECT, Servers, dev, until

DOCS = PROJECT / "docs"
GROUPS = sorted({asset["group"] for asset in described(defs)["assets"].values()})
COLOURS, MARGIN = 128, 24
# So large that the whole graph is in the window with all that is written in it.
GRAPH_WINDOW, PAGE_WINDOW, APP_WIDTH = (4600, 3400), (1500, 1130), 1100
# What a person can set in the graph itself: the kinds below an asset's box lie half under the next group.
GRAPH_SETTINGS = {
    "asset-graph-direction": "horizontal",
    "asset-node-facets": ["checks", "partitions", "status"],
}


def run_job(servers: Servers, job: str) -> None:
    """Run a job, over all splits if it has any; returns when it has succeeded."""
    params = launch_of(job, tags=defs.resolve_job_def(job).tags)
    launched = servers.ask(LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched

    def done() -> bool:
        (run,) = servers.ask(RUNS, filter={"pipelineName": job})["runsOrError"]["results"]
        assert run["status"] not in ("FAILURE", "CANCELED"), f"see {servers.home}"
        return run["status"] == "SUCCESS"

    until(done, f"{job} has succeeded")


def keep(picture: bytes, name: str, width: int) -> None:
    """Write a screenshot into docs/, at most `width` pixels wide."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    path = DOCS / name
    # This method keeps rare colours, such as those of a warning.
    few = image.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, "PNG", optimize=True)
    sys.stdout.write(f"{path}: {image.width} x {image.height}, {path.stat().st_size:,} bytes\n")


def take_graph(page: Page, url: str) -> None:
    """docs/graph.png."""
    for name, value in GRAPH_SETTINGS.items():
        page.add_init_script(f"localStorage.setItem({json.dumps(name)}, {json.dumps(json.dumps(value))})")
    ui = Ui(page, url)
    ui.open_graph(GROUPS)
    page.get_by_text("100% filled").first.wait_for()
    page.wait_for_load_state("networkidle")
    until(lambda: not page.get_by_text("Loading").count(), "every asset's state is shown")
    boxes = [box for _, box in ui.drawn()]
    left, top = min(box.left for box in boxes) - MARGIN, min(box.top for box in boxes) - MARGIN
    right = max(box.right for box in boxes) + MARGIN
    bottom = max(box.top + box.height for box in boxes) + MARGIN
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    keep(page.screenshot(clip=clip), "graph.png", 2000)


def take_pages(page: Page, url: str, store: Path) -> None:
    """docs/asset.png and docs/report.png."""
    Ui(page, url).open_asset("image_table")
    page.wait_for_load_state("networkidle")
    # Behind the description and the columns come the places on this machine.
    end_above(page, page.get_by_text("Metadata", exact=True).first)
    keep(page.screenshot(), "asset.png", 1200)
    page.goto((store / "validation_report" / "report.html").as_uri())
    page.wait_for_load_state("load")
    end_above(page, page.locator("#scores table"))
    keep(page.screenshot(), "report.png", 1100)


def take_app(page: Page, model: Path) -> None:
    """docs/page.png: a photo of the drawn test split, answered."""
    photo = sorted((home() / "demo" / "data" / "test").glob("*.jpg"))[4]
    with page_server(model) as (url, _), tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / "snake.jpg"
        shutil.copyfile(photo, shown)
        page.goto(url)
        page.set_input_files("#snake-files", shown)
        page.locator("#snake-answer").wait_for()
        page.wait_for_load_state("networkidle")
        page.evaluate("scrollTo(0, 0)")
        box = page.locator("section").bounding_box()
        assert box is not None
        page.set_viewport_size({"width": APP_WIDTH, "height": round(box["y"] + box["height"]) + MARGIN})
        keep(page.screenshot(), "page.png", APP_WIDTH)


def end_above(page: Page, what: Locator) -> None:
    """Make the window so high that it ends above something, and nothing is cut through."""
    box = what.bounding_box()
    assert box is not None
    page.set_viewport_size({"width": PAGE_WINDOW[0], "height": round(box["y"]) - MARGIN // 2})


def main() -> None:
    """Make everything, in a folder that is removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        store, instance = Path(folder) / "store", Path(folder) / "home"
        with dev(instance, {"SNAKE_STORE": str(store), "SNAKE_DEVICE": "cpu"}) as servers:
            run_job(servers, "snakeclef")
            log = sum(path.stat().st_size for path in (instance / "history" / "runs").glob("*.db"))
            with browser_page(*GRAPH_WINDOW) as page:
                take_graph(page, servers.url)
            with browser_page(*PAGE_WINDOW) as page:
                take_pages(page, servers.url, store)
            run_job(servers, "package")
            with browser_page(APP_WIDTH, PAGE_WINDOW[1]) as page:
                take_app(page, store / "model_package")
            sys.stdout.write(f"event log: {log:,} bytes\n")


if __name__ == "__main__":
    main()
