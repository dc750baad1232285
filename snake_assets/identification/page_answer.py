"""The answer for one snake as a piece of HTML, which is read at a glance, and aloud from top to bottom."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from snake_assets.identification.exports import Answer
from snake_assets.identification.identify import Package
from snake_assets.identification.photos import Photo
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.preprocessing.crops import window_around
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME

if TYPE_CHECKING:
    from jinja2 import Environment

# Longest side of the pictures on the page, in pixels.
SIDE = 320
# From which probability of venom on the words change. Low is set low: a bite of one in ten such snakes would
# be no small thing.
PROBABLY, MAYBE = 0.5, 0.05


@dataclass(frozen=True)
class Danger:
    """How dangerous the snake is: `kind` is "high", "unsure" or "low", for the colour."""

    kind: str
    words: str
    detail: str

    @classmethod
    def of(cls, answer: Answer) -> Danger:
        """Of an answer that has one. What cannot be told is never called harmless."""
        p = answer.p_venomous
        if p is None:
            return cls("unsure", "Treat it as venomous", "Venom not known for this model.")
        if answer.level == "unknown":
            detail = f"The model does not know this snake. By those that it knows, venomous: {percent(p)}."
            return cls("high" if p >= PROBABLY else "unsure", "Treat it as venomous", detail)
        figure = f"Probability that it is dangerously venomous: {percent(p)}."
        # As it is shown, so that the words fit the figure.
        p = round(p, 2)
        if p >= PROBABLY:
            return cls("high", "Probably venomous", figure)
        if p >= MAYBE:
            return cls("unsure", "It may be venomous", f"{figure} Treat it as venomous.")
        return cls("low", "Probably not venomous", f"{figure} Do not touch it all the same.")


def answer_html(
    package: Package, model: Path, photos: Sequence[Photo], answers: Sequence[Answer], number: int
) -> str:
    """What is said of one snake.

    Args:
        package: that answered.
        model: its folder, which has the look-alikes' pictures.
        photos: of the snake, whose files are still there.
        answers: of the photos, in their order.
        number: of the request, by which two answers that read alike are told apart.
    """
    read = [pair for pair in zip(photos, answers, strict=True) if pair[1].level != "unreadable"]
    readable = [(answer, *_pictures(package, photo, answer)) for photo, answer in read]
    answer = read[0][1] if read else None
    return (
        _templates()
        .get_template("answer")
        .render(
            answer=answer,
            danger=Danger.of(answer) if answer else None,
            readable=readable,
            unreadable=[one for one in answers if one.level == "unreadable"],
            venomous=_venomous(package),
            look_alike=lambda file: data_uri((model / file).read_bytes()),
            detector=package.crops is not None,
            model=package.name,
            number=number,
        )
    )


def refusal_html(sentence: str, number: int) -> str:
    """Why there is no answer."""
    return _templates().get_template("refusal").render(sentence=sentence, number=number)


def form_html(most: int, most_bytes: int, countries: Sequence[str], keep: bool) -> str:
    """What the photos are given with.

    Args:
        most: photos of one snake.
        most_bytes: of a photo.
        countries: codes that can be chosen.
        keep: whether there is a box to tick, by which photos are kept.
    """
    form = _templates().get_template("form")
    return form.render(most=most, most_bytes=most_bytes, countries=countries, keep=keep)


def percent(share: float) -> str:
    """Without a promise that no model can keep: never 0 % or 100 %."""
    return "under 1\xa0%" if share < 0.01 else "over 99\xa0%" if share > 0.99 else f"{100 * share:.0f}\xa0%"


def data_uri(picture: bytes) -> str:
    """A JPEG as an address that nothing is fetched for."""
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def _venomous(package: Package) -> frozenset[str]:
    """Names of the species that are known to be venomous."""
    flags = package.species.venomous
    if flags is None:
        return frozenset()
    return frozenset(name for name, venomous in zip(package.species.names, flags, strict=True) if venomous)


def _pictures(package: Package, photo: Photo, answer: Answer) -> Iterator[str | None]:
    """The photo, and what was cut out of it; None where nothing was."""
    # A JPEG may come smaller, but then the window around the snake would be another one.
    rgb = decode(photo.read(), at_least=None if package.crops else SIDE)
    yield _small(rgb)
    if package.crops is None or answer.region == WHOLE_FRAME:
        yield None
    else:
        yield _small(window_around(answer.region, rgb.shape[:2], package.crops.input.settings).cut(rgb))


def _small(rgb: npt.NDArray[np.uint8]) -> str:
    image, encoded = Image.fromarray(rgb), io.BytesIO()
    image.thumbnail((SIDE, SIDE))
    image.save(encoded, "JPEG", quality=80)
    return data_uri(encoded.getvalue())


@cache
def _templates() -> Environment:
    from jinja2 import DictLoader, Environment, StrictUndefined

    text = files(__package__).joinpath("page.html").read_text()
    # One file for all of the page; a line `=== name` begins the next part.
    parts = dict(part.split("\n", 1) for part in text.split("=== ")[1:])
    environment = Environment(
        loader=DictLoader(parts),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment
