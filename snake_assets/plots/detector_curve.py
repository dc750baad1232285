"""Precision over recall of a detector, beside that of the weights it started from."""

from collections.abc import Mapping

import numpy as np

from snake_assets.detection.judging import Judgement
from snake_assets.plots.charts import MARKERS, PALETTE, new_figure, to_png


def detector_curve_png(judgements: Mapping[str, Judgement]) -> bytes:
    """A line for each detector at an overlap of 0.5, with a mark where F1 is highest.

    Args:
        judgements: what the detector is called -> how it did; all on the same photos.
    """
    figure = new_figure(6.4, 4.6)
    axes = figure.add_subplot()
    for number, (name, judged) in enumerate(judgements.items()):
        curve, colour = judged.curve, PALETTE[number]
        # Where nothing is found any more, no finds are right.
        recall = np.concatenate([[0], curve.recall, curve.recall[-1:]])
        precision = np.concatenate([curve.precision[:1], curve.precision, [0] * len(curve.recall[-1:])])
        label = f"{name}: mAP50 {judged.map50:.3f}, mAP50-95 {judged.map50_95:.3f}"
        axes.plot(recall[: len(precision)], precision, color=colour, label=label)
        if (best := curve.best) is not None:
            axes.plot(curve.recall[best], curve.precision[best], MARKERS[number], color=colour, markersize=8)
            axes.annotate(
                f"confidence {curve.confidence[best]:.2f}",
                (curve.recall[best], curve.precision[best]),
                (-8, -14),
                textcoords="offset points",
                ha="right",
                fontsize=9,
            )
    photos, boxes = next(((len(one.photos), one.boxes) for one in judgements.values()), (0, 0))
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("recall: share of the boxes that are found")
    axes.set_ylabel("precision: share of the finds that are right")
    axes.set_title(f"{boxes} boxes in {photos} photos that were held out; marked: highest F1", fontsize=11)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return to_png(figure)
