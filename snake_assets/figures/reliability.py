"""The reliability diagram: what was said to be so sure, and how often it was so."""

from collections.abc import Mapping

import numpy as np

from snake_assets.figures.style import HARMLESS, PALETTE, new_figure, to_png
from snake_assets.learning.intervals import share_interval
from snake_assets.learning.statements import Statements


def reliability_png(statements: Mapping[str, Statements]) -> bytes:
    """A panel for each kind of statement: how often it was true against its probability, and the counts.

    As figure 1 of Guo et al., "On Calibration of Modern Neural Networks" (2017), with 95 % intervals.

    Args:
        statements: title -> what was stated and what came true.
    """
    figure = new_figure(4.1 * len(statements), 4.6)
    grid = figure.subplots(2, len(statements), squeeze=False, height_ratios=[3, 1], sharex=True)
    for column, (title, stated) in enumerate(statements.items()):
        bins, above, below = stated.reliability, grid[0, column], grid[1, column]
        filled = np.flatnonzero(bins.count)
        width, middle = 0.94 * (bins.high - bins.low), (bins.low + bins.high) / 2
        mean, share = bins.confidence[filled], bins.accuracy[filled]
        bounds = np.array(
            [
                share_interval(round(true * count), count)
                for true, count in zip(share.tolist(), bins.count[filled].tolist(), strict=True)
            ]
        )
        above.bar(middle[filled], share, width[filled], color=PALETTE[4], label="was true")
        above.errorbar(
            mean,
            share,
            yerr=np.maximum(np.abs(bounds.T - share), 0),
            fmt="o",
            color=HARMLESS,
            markersize=5,
            capsize=2,
            label="at the mean probability, with 95 % interval",
        )
        above.plot([0, 1], [0, 1], color="0.35", linestyle="--", linewidth=1, label="as it should be")
        above.set_ylim(0, 1.04)
        above.set_xlim(0, 1)
        above.set_title(f"{title}\nexpected calibration error {100 * stated.error:.1f} %", fontsize=10)
        below.bar(middle, bins.count, width, color="0.6")
        below.set_xlabel("probability stated")
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("share that was true")
    grid[1, 0].set_ylabel("observations")
    handles, texts = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return to_png(figure)
