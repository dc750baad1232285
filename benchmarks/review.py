"""What `snake-assets review` is worth: labels until the classifier is nearly as good as with all of them.

On train of `philippine-snakes` beside the checkout alone, as ViT-Tiny sees it (a store made by the job
`features`, made anew unless --store names one). In each repeat three in ten observations of every species are
held out, as in `benchmarks.classifier`; of the others a photo of each of two observations of every species is
labelled to begin with. Each round labels 10 photos more and trains the package's recipe, head and neighbours,
until Track 1 on the held-out observations is 95 % of what all labels give. The two numbers that the recipe
chooses on folds are those that it chooses of all labels, in all arms: choosing them each time takes ten times
as long. The labels at which Track 1 is reached are interpolated between the last two rounds, those of the
beginning among them. The arms:

- `queue`: what `snake-assets review` would ask for, by the same function.
- `random`: photos at random, the mean of --draws orders.
- `observations`: photos at random, of an observation one: what that alone is worth.

`labels_ratio` is the queue's labels over those of random photos, the mean of the repeats, `interval` its 95 %
interval (Student's t over the repeats; these share photos, so it is rather too narrow).
`labels_ratio_over_observations` and its interval are the same over `observations`. `labels` are the arms' own
means.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.classifier import halves, real_features, t_interval, truth_of
from benchmarks.common import PHILIPPINE_SNAKES, finish, options
from snake_assets.identification.review import centred, choose, margins
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.settings import Recipe
from snake_assets.learning.train import refit, train_classifier
from snake_assets.snakeclef.metadata import VENOM_LIST, read_venom_list
from snake_assets.snakeclef.metric import score

ENOUGH, A_ROUND = 0.95, 10
Rows = npt.NDArray[np.int64]
Chooser = Callable[[SpeciesClassifier, FeatureTable, int], Sequence[int]]


def by_queue(classifier: SpeciesClassifier, pool: FeatureTable, count: int) -> Sequence[int]:
    """Rows of the pool that `snake-assets review` would ask for."""
    said = classifier.observe(classifier.probabilities(pool), pool.observation_id)
    likeliest = said.probabilities.argmax(axis=1).tolist()
    told = zip(margins(said.probabilities).tolist(), map(str, likeliest), strict=True)
    of = dict(zip(said.observation_id, told, strict=True))
    vectors = centred(classifier, pool)
    margin, guess = zip(*(of[name] for name in pool.observation_id), strict=True)
    return choose(
        np.array(margin), guess, pool.observation_id, lambda rows: [vectors[row] for row in rows], count
    )


def at_random(rng: np.random.Generator, one_an_observation: bool) -> Chooser:
    """Chooses rows of a pool at random."""

    def chosen(_: SpeciesClassifier, pool: FeatureTable, count: int) -> Sequence[int]:
        order: list[int] = rng.permutation(len(pool)).tolist()
        if one_an_observation:
            order = [*{pool.observation_id[row]: row for row in order}.values()]
        return order[:count]

    return chosen


def labels_needed(
    train: FeatureTable,
    begin: Rows,
    wanted: float,
    chooser: Chooser,
    one_an_observation: bool,
    track1: Callable[[FeatureTable], tuple[SpeciesClassifier, float]],
) -> float:
    """How many labels a chooser needs until Track 1 is as wanted."""
    labelled, before = begin, (float(len(begin)), 0.0)
    observations = np.array(train.observation_id)
    while True:
        classifier, reached = track1(train.rows(labelled))
        if reached >= wanted:
            gained = (wanted - before[1]) / (reached - before[1])
            return before[0] + gained * (len(labelled) - before[0])
        before = (len(labelled), reached)
        left = np.setdiff1d(np.arange(len(train)), labelled)
        if one_an_observation:
            unseen = left[~np.isin(observations[left], observations[labelled])]
            left = unseen if len(unseen) else left
        rows = chooser(classifier, train.rows(left), A_ROUND)
        # What is left when nothing more is asked for teaches nothing more by the queue's own measure.
        added = left[[*rows]] if rows else left[:A_ROUND]
        if not len(added):
            return float(len(train))
        labelled = np.sort(np.concatenate([labelled, added]))


def beginning(train: FeatureTable, rng: np.random.Generator) -> Rows:
    """A photo of each of two observations of every species."""
    species, observations = np.asarray(train.class_id), np.array(train.observation_id)
    drawn = [
        rng.choice(np.flatnonzero(observations == name))
        for one in np.unique(species)
        for name in rng.permutation(np.unique(observations[species == one]))[:2]
    ]
    return np.sort(np.array(drawn))


def measure(table: FeatureTable, venomous: Mapping[int, bool], repeats: int, draws: int) -> dict[str, object]:
    """All arms in all repeats."""
    labels: dict[str, list[float]] = {"queue": [], "random": [], "observations": []}
    for repeat in range(repeats):
        train, test = halves(table, repeat)
        truth = truth_of(test)

        of_all = train_classifier(train, venomous, Recipe(), train.fingerprint or "")

        def track1(
            part: FeatureTable,
            test: FeatureTable = test,
            truth: list[int] = truth,
            of_all: SpeciesClassifier = of_all,
        ) -> tuple[SpeciesClassifier, float]:
            trained = refit(of_all, part, venomous)
            reached = score(truth, trained.identify(test).class_id, venomous).track1
            return trained, reached or 0.0

        rng = np.random.default_rng(repeat)
        begin, wanted = beginning(train, rng), ENOUGH * track1(train)[1]
        labels["queue"].append(labels_needed(train, begin, wanted, by_queue, True, track1))
        for name, one in (("random", False), ("observations", True)):
            needed = [
                labels_needed(train, begin, wanted, at_random(rng, one), one, track1) for _ in range(draws)
            ]
            labels[name].append(float(np.mean(needed)))
        told = ", ".join(f"{name} {found[-1]:.0f}" for name, found in labels.items())
        print(f"repeat {repeat + 1} of {repeats}, Track 1 {wanted:.2f}: {told} labels", flush=True)
    result: dict[str, object] = {"repeats": repeats, "draws": draws}
    queue = np.array(labels["queue"])
    for name, key in (("random", ""), ("observations", "_over_observations")):
        ratio = queue / np.array(labels[name])
        result[f"labels_ratio{key}"] = round(float(ratio.mean()), 3)
        result[f"interval{key}"] = t_interval(ratio)
    result["labels"] = {name: round(float(np.mean(found))) for name, found in labels.items()}
    return result


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=10)
    parser.add_argument("--draws", type=int, default=3, help="random orders in each repeat")
    parser.add_argument("--store", type=Path, default=None, help="store with the real photos' embeddings")
    given = parser.parse_args(arguments)
    venomous = read_venom_list(PHILIPPINE_SNAKES / "metadata" / VENOM_LIST)
    with tempfile.TemporaryDirectory() as name:
        table = real_features(given.store or Path(name) / "store", ["train"])
        return finish(measure(table, venomous, given.rounds, given.draws))


if __name__ == "__main__":
    main()
