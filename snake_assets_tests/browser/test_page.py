"""The page on which people give photos of a snake, in a browser. The tests share one server."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pillow_heif
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.page import ask, crowd_answered, free_port, page_server
from snake_assets.identification import IdentificationError, load_package
from snake_assets.identification.page import Page as ThePage
from snake_assets.identification.page import serve
from snake_assets_tests.browser.ui import PATIENCE, browser_page
from snake_assets_tests.identification.conftest import Made
from snake_assets_tests.watching import Watch

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
expect.set_options(timeout=PATIENCE)


@dataclass(frozen=True)
class Site:
    """The page in a browser, where its server keeps its uploads, and what both reached."""

    page: Page
    url: str
    temporary: Path
    watch: Watch
    requested: list[str]

    def give(self, *photos: Path) -> None:
        """Choose photos, as the file dialog does."""
        self.page.set_input_files("#snake-files", [*photos])

    def open(self) -> None:
        """The page as it is at first."""
        self.page.goto(self.url)
        self.page.locator("#snake-files").wait_for(state="attached")


@pytest.fixture(scope="module")
def site(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("page")
    (root / "temporary").mkdir()
    watch, requested = Watch(root / "watch"), list[str]()
    environment = watch.environment | {"TMPDIR": str(root / "temporary")}
    with (
        page_server(made.folder, environment=environment) as (url, _),
        browser_page(1100, 900) as page,
    ):
        page.on("request", lambda request: requested.append(request.url))
        page.on("websocket", lambda socket: requested.append(socket.url))
        yield Site(page, url, root / "temporary", watch, requested)


@pytest.fixture
def photo(made: Made) -> Path:
    return made.photos[0][0]


def test_a_dropped_photo_is_answered_with_look_alikes_and_forgotten(site: Site, photo: Path):
    site.open()
    page = site.page
    expect(page.get_by_text("Call the emergency number now")).to_be_visible()
    dropped = page.evaluate_handle(
        """content => {
          const data = new DataTransfer(), bytes = Uint8Array.from(atob(content), one => one.charCodeAt(0));
          data.items.add(new File([bytes], "<b>${1 + 1}{{value}}.png", { type: "image/png" }));
          return data;
        }""",
        base64.b64encode(photo.read_bytes()).decode(),
    )
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": dropped})
    expect(page.get_by_role("heading", name="Probably venomous")).to_be_focused()
    expect(page.get_by_text("Probability that it is dangerously venomous:")).to_contain_text("%")
    expect(page.locator(".named")).to_contain_text("Naja naja")
    expect(page.get_by_role("listitem").filter(has_text="similarity")).to_have_count(5)
    # Names are shown as they are, whatever they are.
    expect(page.get_by_text("Your photo <b>${1 + 1}{{value}}.png")).to_be_visible()
    assert not [path for path in site.temporary.rglob("*") if path.is_file()]
    page.get_by_role("button", name="Another snake").click()
    expect(page.locator("#snake-answer")).to_have_count(0)


def test_photos_of_one_snake_are_one_answer_and_the_country_asks_anew(site: Site, made: Made):
    site.open()
    page = site.page
    site.give(made.photos[0][0])
    expect(page.get_by_text("Your photo")).to_have_count(1)
    site.give(made.photos[4][0], made.photos[8][0])
    expect(page.get_by_text("One answer for 3 photos")).to_be_visible()
    before = page.locator("section").get_attribute("data-number")
    page.get_by_label("Country").select_option(label="India (IN)")
    expect(page.locator("section")).not_to_have_attribute("data-number", before or "")
    expect(page.locator("#snake-answer")).to_be_visible()


def test_what_cannot_be_answered_is_told_in_a_sentence(site: Site, made: Made, tmp_path: Path):
    site.open()
    page = site.page
    text, huge, heic = (tmp_path / name for name in ("note.jpg", "huge.png", "phone.heic"))
    text.write_text("no photo")
    Image.new("1", (11_000, 11_001)).save(huge)
    pillow_heif.from_pillow(Image.open(io.BytesIO(made.photos[0][0].read_bytes()))).save(heic)
    site.give(text)
    expect(page.get_by_role("alert")).to_contain_text("note.jpg cannot be read. The bytes are no JPEG")
    site.give(huge)
    expect(page.get_by_text("huge.png cannot be read. 11000 x 11001 pixels are more than")).to_be_visible()
    site.give(heic)
    expect(page.get_by_text("Your photo phone.heic")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(2)
    page.get_by_role("button", name="Another snake").click()
    site.give(*(path for path, _ in made.photos))
    expect(page.locator("#snake-status")).to_have_text(
        "These would be 12 photos: choose the best 10 of this snake."
    )
    assert "These are 12 photos" in ask(site.url, [path for path, _ in made.photos])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_a_keyboard_and_a_screen_reader_can_use_it(site: Site, photo: Path, scheme: str):
    page = site.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size(PHONE)
    site.open()
    page.keyboard.press("Tab")
    expect(page.locator("#snake-files")).to_be_focused()
    site.give(photo)
    expect(page.locator("#snake-answer")).to_be_in_viewport()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0] < 60")
    assert dark == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    faults = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in faults if fault["impact"] in ("serious", "critical")] == []


def test_twenty_at_once_are_all_answered(site: Site, made: Made):
    assert crowd_answered(site.url, [made.photos[one % 12][0] for one in range(20)]) == 20


def test_nothing_so_far_has_reached_anything_but_this_machine(site: Site):
    asked = [urlsplit(url) for url in site.requested]
    assert {url.hostname for url in asked if url.scheme not in ("data", "blob")} == {"127.0.0.1"}
    assert site.watch.reached == []


def test_a_password_can_be_asked_for_and_a_port_that_is_taken_is_named(
    made: Made, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    answering = ThePage(load_package(made.folder, "cpu"), made.folder, tmp_path)
    with serve(answering, "127.0.0.1", free_port(), [("mary", "her:word")]) as url:
        assert requests.post(f"{url}/gradio_api/upload", files={"files": b"x"}, timeout=60).status_code == 401
        session = requests.Session()
        for word, status in [("wrong", 400), ("her:word", 200)]:
            found = session.post(f"{url}/login", data={"username": "mary", "password": word}, timeout=60)
            assert found.status_code == status
        assert "Naja naja" in ask(url, [photo], session)
        taken = int(url.rpartition(":")[2])
        with pytest.raises(IdentificationError, match=f"port {taken} cannot be had"):
            serve(answering, "127.0.0.1", taken).__enter__()
