"""The official scores of one report after the other."""

from collections.abc import Sequence

from snake_assets.figures.style import MARKERS, PALETTE, WIDEST, new_figure, to_png
from snake_assets.learning.score_history import Scored

LINES = {"track1": "Track 1", "f1": "macro F1", "accuracy": "accuracy"}
MOST_SHOWN = 30
DIGITS = 6


def history_chart_png(history: Sequence[Scored]) -> bytes:
    """A line for each score over the last 30 reports, oldest first.

    Below each report stand its date and the first digits of its classifier's digest, so that equal
    classifiers are seen to be equal.
    """
    shown = history[-MOST_SHOWN:]
    figure = new_figure(WIDEST, 3.6)
    axes = figure.add_subplot()
    positions = range(len(shown))
    for number, (score, title) in enumerate(LINES.items()):
        values = [getattr(report, score) for report in shown]
        axes.plot(positions, values, marker=MARKERS[number], color=PALETTE[number], label=title)
        if values:
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
