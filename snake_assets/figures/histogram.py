"""The species histogram: photos per species, the paper's picture of the long tail."""

import polars as pl

from snake_assets.figures.style import HARMLESS, VENOMOUS, WIDEST, new_figure, to_png

NAMED_UP_TO = 40


def species_histogram_png(counts: pl.DataFrame, title: str) -> bytes:
    """Photos per species, most first, on a log scale; venomous species in another colour and hatched.

    Args:
        counts: binomial_name, class_id, venomous, photos; most photos first.
        title: above the picture.
    """
    figure = new_figure(WIDEST, 4.2)
    axes = figure.add_subplot()
    positions = range(counts.height)
    colours = [VENOMOUS if venomous else HARMLESS for venomous in counts["venomous"]]
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
    for label, colour in (("harmless", HARMLESS), ("venomous (MIVS)", VENOMOUS)):
        axes.bar([0], [0], color=colour, label=label)
    axes.legend(frameon=False)
    return to_png(figure)
