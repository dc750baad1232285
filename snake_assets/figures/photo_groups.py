"""Accuracy against the number of training photos: what the long tail costs."""

from collections.abc import Sequence

import numpy as np

from snake_assets.figures.style import HARMLESS, new_figure, to_png
from snake_assets.learning.species_table import PhotoGroup


def photo_range(group: PhotoGroup) -> str:
    """The group's numbers of training photos, for a person: "0", "5-9"."""
    return f"{group.fewest}" if group.fewest == group.most else f"{group.fewest}\u2013{group.most}"


def photo_groups_png(groups: Sequence[PhotoGroup], overall: float) -> bytes:
    """Share of right answers in each group of species, with 95 % intervals.

    Args:
        groups: at least one, fewest photos first.
        overall: accuracy over all observations, in percent.
    """
    figure = new_figure(7.6, 3.9)
    axes = figure.add_subplot()
    shares = np.array([100 * group.right / group.observations for group in groups])
    bounds = 100 * np.array([group.interval for group in groups])
    places = range(len(groups))
    told = f"all observations: {overall:.1f} %"
    axes.axhline(overall, color="0.5", linestyle="--", linewidth=1, label=told)
    axes.errorbar(
        places,
        shares,
        # Rounding may put a bound of a perfect group on the wrong side by a hair.
        yerr=np.maximum(np.abs(bounds.T - shares), 0),
        fmt="o",
        color=HARMLESS,
        markersize=7,
        capsize=4,
        label="right answers, with 95 % interval",
    )
    axes.set_xticks(
        list(places),
        [f"{photo_range(group)}\n{group.species} species\n{group.observations} obs." for group in groups],
        fontsize=9,
    )
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set_ylim(-3, 105)
    axes.set_xlabel("training photos of the true species")
    axes.set_ylabel("right answers (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return to_png(figure)
