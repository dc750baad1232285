"""The ablation as a bar chart: every step's Track 1 with its interval, beside chance."""

from textwrap import shorten

from snake_assets.ablation.run import Ablation, StepResult
from snake_assets.plots.charts import PALETTE, WIDEST, new_figure, to_png

FAULTS, OURS, CHANCE = PALETTE[1], PALETTE[4], "0.25"
NAME_LENGTH = 46


def ablation_chart_png(ablation: Ablation) -> bytes:
    """A bar for each step, first on top: Track 1, the 95 % interval as a line, and the level of guessing."""
    from matplotlib.patches import Patch

    steps = ablation.results
    figure = new_figure(WIDEST, 1.7 + 0.29 * len(steps))
    axes = figure.subplots()
    heights = [len(steps) - number for number in range(len(steps))]
    for step, height in zip(steps, heights, strict=True):
        low, high = step.intervals["track1"]
        axes.barh(height, step.scores["track1"], height=0.72, color=_colour(step), zorder=1)
        axes.plot((low, high), (height, height), color="black", linewidth=1.4, zorder=3)
        axes.plot((low, high), (height, height), "|", color="black", markersize=6, zorder=3)
        axes.text(101.5, height, f"{step.scores['track1']:.1f}", va="center", fontsize=9)
    for level, style, among in (
        (ablation.chance["track1"], "--", "the species of train"),
        (ablation.chance_of_list["track1"], ":", "the whole venom list"),
    ):
        axes.axvline(
            level,
            color=CHANCE,
            linestyle=style,
            linewidth=1.5,
            zorder=2,
            label=f"guessing among {among}: {level:.1f}",
        )
    names = [shorten(step.step.name, NAME_LENGTH, placeholder=" \u2026") for step in steps]
    axes.set_yticks(heights, names, fontsize=9, parse_math=False)
    axes.set_ylim(0.4, len(steps) + 0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"Track 1 on {ablation.observations:,} observations of val; lines are 95 % intervals")
    axes.spines[["top", "right"]].set_visible(False)
    lines, _ = axes.get_legend_handles_labels()
    kinds = [
        Patch(color=FAULTS, label="the paper's recipe, mended"),
        Patch(color=OURS, label="our additions"),
    ]
    figure.legend(handles=[*kinds, *lines], loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return to_png(figure)


def _colour(step: StepResult) -> str:
    return FAULTS if step.step.is_the_papers else OURS
