"""The confusion that matters: venomous against harmless."""

from collections.abc import Mapping

import numpy as np

from snake_assets.figures.style import new_figure, to_png


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
