"""The official scores of several ways of answering, with their intervals."""

import io
from collections.abc import Mapping, Sequence
from textwrap import fill, shorten
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from PIL import Image

from snake_assets.learning.decision.calibration import Reliability
from snake_assets.learning.evaluation.comparison import Variant
from snake_assets.learning.evaluation.history import Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# How all charts look: colours that colour-blind people tell apart, and the way a figure becomes a file.


# Okabe and Ito, "Color Universal Design" (2008).
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HARMLESS, VENOMOUS, NOT_KNOWN = PALETTE[0], PALETTE[5], "#7F7F7F"
DPI = 100
# Inches: the UI shows pictures in a window of 820 pixels.
WIDEST = 8.2
COLOURS = 24


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches; independent of any display and of pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def to_png(figure: "Figure") -> bytes:
    """The figure as a PNG file of at most 24 colours; the same figure gives the same bytes."""
    drawn, encoded = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    image = Image.open(drawn).convert("RGB")
    # A quarter of the bytes, which the UI loads each time; a colour of few pixels is kept too.
    few_colours = image.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few_colours.save(encoded, "PNG", optimize=True)
    return encoded.getvalue()


# The confusion that matters: venomous against harmless.


def venom_confusion_png(
    groups: Mapping[tuple[bool, bool], int], wrong_species: Mapping[tuple[bool, bool], int]
) -> bytes:
    """A 2x2 table of observations by venom status, truth in rows, prediction in columns.

    Args:
        groups: (truth is venomous, prediction is venomous) -> observations, right species or not.
        wrong_species: the same -> observations whose species is wrong; what Track 2 counts.
    """
    figure = new_figure(5.0, 4.0)
    axes = figure.add_subplot()
    cells = np.array(
        [[groups[truth, guess] for guess in (False, True)] for truth in (False, True)], dtype=float
    )
    totals = cells.sum(axis=1, keepdims=True)
    shares = np.divide(cells, totals, out=np.zeros_like(cells), where=totals > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, truth in enumerate((False, True)):
        for column, guess in enumerate((False, True)):
            axes.text(
                column,
                row,
                f"{int(cells[row, column]):,}\n{100 * shares[row, column]:.1f} %\n"
                f"{wrong_species[truth, guess]:,} wrong species",
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.55 else "black",
                fontsize=11,
            )
    axes.set_xticks([0, 1], ["harmless", "venomous"])
    axes.set_yticks([0, 1], ["harmless", "venomous"], rotation=90, va="center")
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    axes.set_title("Venomous against harmless, observations of val", fontsize=11)
    return to_png(figure)


# The species histogram: photos per species, the paper's picture of the long tail.


NAMED_UP_TO = 40


def species_histogram_png(counts: pl.DataFrame, title: str) -> bytes:
    """Photos per species, most first, on a log scale; venomous species in another colour and hatched.

    Args:
        counts: binomial_name, class_id, venomous (null where that is not known), photos; most photos first.
        title: above the picture.
    """
    figure = new_figure(WIDEST, 4.2)
    axes = figure.add_subplot()
    positions = range(counts.height)
    colour_of = {False: HARMLESS, True: VENOMOUS, None: NOT_KNOWN}
    colours = [colour_of[venomous] for venomous in counts["venomous"]]
    named = counts.height <= NAMED_UP_TO
    bars = axes.bar(positions, counts["photos"].to_list(), color=colours, width=0.85 if named else 1.0)
    for bar, venomous in zip(bars, counts["venomous"], strict=True):
        if venomous and named:
            bar.set_hatch("//")
            bar.set_edgecolor("white")
    axes.set_yscale("log")
    axes.set_ylim(0.8, 2.2 * max(counts["photos"].to_list(), default=1))
    axes.set_ylabel("photos (log scale)")
    if named:
        names = [
            name or str(class_id)
            for name, class_id in zip(counts["binomial_name"], counts["class_id"], strict=True)
        ]
        axes.set_xticks(list(positions), names, rotation=40, ha="right", fontsize=8, style="italic")
    else:
        axes.set_xlabel(f"{counts.height} species, most photographed first")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    told = {*counts["venomous"]} if counts["venomous"].null_count() else {False, True}
    legend = {"harmless": False, "venomous (MIVS)": True, "not known whether venomous": None}
    for label, venomous in legend.items():
        if venomous in told:
            axes.bar([0], [0], color=colour_of[venomous], label=label)
    axes.legend(frameon=False)
    return to_png(figure)


# The official scores of one report after the other.


LINES = {"track1": "Track 1", "f1": "macro F1", "accuracy": "accuracy"}
MOST_SHOWN = 30
DIGITS = 6


def history_chart_png(history: Sequence[Scored]) -> bytes:
    """A line for each score over the last 30 reports, oldest first; a gap where a report has no Track 1.

    Below each report stand its date and the first digits of its classifier's digest, so that equal
    classifiers are seen to be equal.
    """
    shown = history[-MOST_SHOWN:]
    figure = new_figure(WIDEST, 3.6)
    axes = figure.add_subplot()
    positions = range(len(shown))
    for number, (score, title) in enumerate(LINES.items()):
        told = [getattr(report, score) for report in shown]
        if shown and all(value is None for value in told):
            continue
        values = [np.nan if value is None else value for value in told]
        axes.plot(positions, values, marker=MARKERS[number], color=PALETTE[number], label=title)
        if values and told[-1] is not None:
            axes.annotate(
                f"{values[-1]:.1f}",
                (len(values) - 1, values[-1]),
                (8, -3),
                textcoords="offset points",
                fontsize=9,
            )
    names = [f"{report.date[:10]}\n{report.date[11:16]}\n{report.classifier[:DIGITS]}" for report in shown]
    # Of many reports, so many are named as fit beside each other.
    every = -(-len(shown) // 10) or 1
    axes.set_xticks(list(positions)[::every], names[::every], fontsize=8)
    axes.set_xlim(-0.5, max(0.5, len(shown) - 0.4))
    axes.set_ylim(0, 104)
    axes.set_ylabel("percent")
    axes.set_xlabel("report: date, time (UTC), classifier")
    axes.set_title(f"Scores on val over {len(history)} report{'' if len(history) == 1 else 's'}", fontsize=11)
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(LINES), frameon=False, fontsize=9)
    return to_png(figure)


# The reliability diagram: what was said to be so sure, and how often it was so.


def reliability_png(statements: Mapping[str, Reliability]) -> bytes:
    """A panel for each kind of statement: how often it was true against its probability, and the counts.

    As figure 1 of Guo et al., "On Calibration of Modern Neural Networks" (2017), with 95 % intervals.

    Args:
        statements: title -> what was stated and what came true.
    """
    figure = new_figure(4.1 * len(statements), 4.6)
    grid = figure.subplots(2, len(statements), squeeze=False, height_ratios=[3, 1], sharex=True)
    for column, (title, bins) in enumerate(statements.items()):
        above, below = grid[0, column], grid[1, column]
        filled = np.flatnonzero(bins.count)
        width, middle = 0.94 * (bins.high - bins.low), (bins.low + bins.high) / 2
        mean, share = bins.confidence[filled], bins.accuracy[filled]
        bounds = np.array(
            [
                _share_interval(true, count)
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
        above.set_title(f"{title}\nexpected calibration error {100 * bins.error:.1f} %", fontsize=10)
        below.bar(middle, bins.count, width, color="0.6")
        below.set_xlabel("probability stated")
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("share that was true")
    grid[1, 0].set_ylabel("observations")
    handles, texts = grid[0, 0].get_legend_handles_labels()
    columns = len(handles) if len(statements) > 1 else 1
    figure.legend(handles, texts, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    return to_png(figure)


def _share_interval(share: float, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share, in 0..1, for groups too small to draw from: Wilson (1927)."""
    z = 1.959964
    middle = share + z * z / (2 * trials)
    reach = z * float(np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)))
    scale = 1 + z * z / trials
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


PANELS = {"track1": "Track 1", "f1": "macro F1", "accuracy": "accuracy (%)"}
NAME_WIDTH = 30


def score_chart_png(variants: Sequence[Variant], chance: Mapping[str, float]) -> bytes:
    """A panel for each score that is told, a line for each variant: its score and its 95 % interval.

    Args:
        variants: the classifier's own answer first.
        chance: mean scores of guessing; shown as a number, since it would squeeze everything else.
    """
    figure = new_figure(WIDEST, 1.5 + 0.36 * len(variants))
    told = {score: title for score, title in PANELS.items() if score in variants[0].scores.told}
    panels = figure.subplots(1, len(told), sharey=True)
    heights = [len(variants) - number for number in range(len(variants))]
    for axes, (score, title) in zip(panels, told.items(), strict=True):
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
