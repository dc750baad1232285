"""The ladder's chart: a picture of any ladder."""

import io
from dataclasses import replace

from PIL import Image

from snake_assets.ladder.climb import climb
from snake_assets.ladder.rungs import rungs
from snake_assets.plots.ablation_chart import ladder_chart_png
from snake_assets_tests.ladder.materials import OWN, material


def test_a_bar_for_every_rung() -> None:
    ladder = climb([*rungs(OWN, 2)[:2], rungs(OWN, 2)[-1]], material())
    strange = replace(
        ladder.steps[0], rung=ladder.steps[0].rung.model_copy(update={"name": "$\\frac{1$ " * 20})
    )
    drawn = {
        name: ladder_chart_png(replace(ladder, steps=steps))
        for name, steps in {
            "three": ladder.steps,
            "again": ladder.steps,
            "one": ladder.steps[:1],
            "many": [strange, *ladder.steps * 8],
        }.items()
    }
    sizes = {name: Image.open(io.BytesIO(png)).size for name, png in drawn.items()}
    assert drawn["three"] == drawn["again"]
    assert {width for width, _ in sizes.values()} == {820}
    assert sizes["one"][1] < sizes["three"][1] < sizes["many"][1]
    assert max(map(len, drawn.values())) < 60_000
