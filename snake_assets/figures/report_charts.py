"""The charts of the validation report, each with the words that say how to read it."""

from collections.abc import Mapping
from dataclasses import dataclass

from snake_assets.figures.confusion import venom_confusion_png
from snake_assets.figures.photo_groups import photo_groups_png
from snake_assets.figures.reliability import reliability_png
from snake_assets.figures.score_chart import score_chart_png
from snake_assets.learning.report import Judgement


@dataclass(frozen=True)
class Chart:
    """A chart's file name in the bundle, what it shows, and how to read it."""

    file: str
    title: str
    caption: str


CHARTS: Mapping[str, Chart] = {
    "scores_with_intervals": Chart(
        "scores.png",
        "Scores of each way of answering, with 95 % intervals",
        "Each line is a way of answering. The mark is its score, the bar its 95 % interval: how far the "
        "score moves when the observations are drawn again at random, 1,000 times. Further right is better. "
        "Where two bars overlap, the difference may be luck; the table compares the ways on the same draws.",
    ),
    "venomous_against_harmless": Chart(
        "venomous_against_harmless.png",
        "Venomous against harmless",
        "Rows say what the snake was, columns what it was taken for. The cell at the lower left is the "
        "mistake that can cost a life: a venomous snake called harmless. “Wrong species” counts the "
        "observations of a cell whose species is wrong, also where the venom status is right.",
    ),
    "accuracy_by_training_photos": Chart(
        "accuracy_by_photos.png",
        "Accuracy against the number of training photos",
        "Species are put in groups by how many photos of them were trained on. The dot is the share of right "
        "answers in the group, the bar its 95 % interval (Wilson): the fewer observations, the longer. The "
        "dashed line is the accuracy over all observations.",
    ),
    "reliability": Chart(
        "reliability.png",
        "Can the probabilities be believed?",
        "Observations are put in ten bins by the probability that was stated. Left: that the most probable "
        "species is the right one. Right: that the snake is venomous. A bar shows how often that was so. "
        "Bars that end at the dashed line mean that 80 % comes true in 80 of 100 cases, bars below it that "
        "too much was promised. Bins with few observations (grey, below) have long intervals and say little. "
        "The expected calibration error is the mean distance of the dots from the line.",
    ),
}


def draw_charts(judgement: Judgement) -> dict[str, bytes]:
    """All charts of a judgement as PNG files, by the names of `CHARTS`."""
    return {
        "scores_with_intervals": score_chart_png(judgement.variants, judgement.chance),
        "venomous_against_harmless": venom_confusion_png(judgement.venom_counts, judgement.venom_errors),
        "accuracy_by_training_photos": photo_groups_png(judgement.by_photos, judgement.scores.accuracy),
        "reliability": reliability_png(
            {
                "the most probable species is right": judgement.confidence,
                "the snake is venomous": judgement.venom_confidence,
            }
        ),
    }
