"""The official scores of several ways of answering, with their intervals."""

from collections.abc import Mapping, Sequence
from textwrap import fill, shorten

from snake_assets.figures.style import HARMLESS, MARKERS, PALETTE, WIDEST, new_figure, to_png
from snake_assets.learning.variants import Variant

PANELS = {"track1": "Track 1", "f1": "macro F1", "accuracy": "accuracy (%)"}
NAME_WIDTH = 30


def score_chart_png(variants: Sequence[Variant], chance: Mapping[str, float]) -> bytes:
    """A panel for each score, a line for each variant: its score and its 95 % interval.

    Args:
        variants: the classifier's own answer first.
        chance: mean scores of guessing; shown as a number, since it would squeeze everything else.
    """
    figure = new_figure(WIDEST, 1.5 + 0.36 * len(variants))
    panels = figure.subplots(1, len(PANELS), sharey=True)
    heights = [len(variants) - number for number in range(len(variants))]
    for axes, (score, title) in zip(panels, PANELS.items(), strict=True):
        for number, (variant, height) in enumerate(zip(variants, heights, strict=True)):
            colour, value = (HARMLESS if number == 0 else PALETTE[7]), getattr(variant.scores, score)
            if score in variant.intervals:
                axes.plot(variant.intervals[score], [height, height], color=colour, linewidth=2, alpha=0.6)
            axes.plot([value], [height], MARKERS[0 if number == 0 else 3], color=colour, markersize=7)
            axes.annotate(
                f"{value:.1f}",
                (value, height),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=1,
            )
        axes.axvline(getattr(variants[0].scores, score), color="0.75", linewidth=1, zorder=0)
        axes.set_title(f"{title}\nguessing gets {chance[score]:.1f}", fontsize=10)
        axes.set_ylim(0.4, len(variants) + 0.8)
        axes.margins(x=0.12)
        axes.spines[["top", "right"]].set_visible(False)
    # Names come from whoever compares: a dollar sign in one is no formula.
    names = [
        fill(shorten(variant.name, 3 * NAME_WIDTH, placeholder=" \u2026"), NAME_WIDTH) for variant in variants
    ]
    panels[0].set_yticks(heights, names, fontsize=9, parse_math=False)
    return to_png(figure)
