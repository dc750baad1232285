"""A fine-tuning as it goes: its loss, and the scores on photos that are kept from it."""

from collections.abc import Mapping, Sequence

from snake_assets.plots.charts import MARKERS, PALETTE, WIDEST, new_figure, to_png

LOSSES = {"loss": "on photos that are learned from", "held_out_loss": "on photos held out"}
SCORES = {"track1": "Track 1", "f1": "macro F1"}


def tuning_chart_png(curve: Sequence[Mapping[str, float]]) -> bytes:
    """Two panels over the steps: losses, and scores in percent; `curve` as `Moment` has it."""
    figure = new_figure(WIDEST, 3.2)
    panels = figure.subplots(1, 2)
    for axes, lines, title in zip(
        panels, (LOSSES, SCORES), ("Loss", "Scores on photos held out"), strict=True
    ):
        for number, (name, label) in enumerate(lines.items()):
            rows = [row for row in curve if name in row]
            steps, values = [row["step"] for row in rows], [row[name] for row in rows]
            if rows:
                axes.plot(
                    steps, values, marker=MARKERS[number], markersize=4, color=PALETTE[number], label=label
                )
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("step")
        axes.grid(axis="y", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_lines():
            axes.legend(frameon=False, fontsize=9)
    panels[1].set_ylabel("percent")
    return to_png(figure)
