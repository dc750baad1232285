"""The ablation's chart: a picture of any ablation."""

import io
from dataclasses import replace

from PIL import Image

from snake_assets.ablation.run import run
from snake_assets.ablation.steps import steps
from snake_assets.plots.ablation_chart import ablation_chart_png
from snake_assets_tests.ablation.data import OWN, data


def test_a_bar_for_every_step() -> None:
    ablation = run([*steps(OWN, 2)[:2], steps(OWN, 2)[-1]], data())
    first = ablation.results[0]
    strange = replace(first, step=first.step.model_copy(update={"name": "$\\frac{1$ " * 20}))
    drawn = {
        name: ablation_chart_png(replace(ablation, results=results))
        for name, results in {
            "three": ablation.results,
            "again": ablation.results,
            "one": ablation.results[:1],
            "many": [strange, *ablation.results * 8],
        }.items()
    }
    sizes = {name: Image.open(io.BytesIO(png)).size for name, png in drawn.items()}
    assert drawn["three"] == drawn["again"]
    assert {width for width, _ in sizes.values()} == {820}
    assert sizes["one"][1] < sizes["three"][1] < sizes["many"][1]
    assert max(map(len, drawn.values())) < 60_000
