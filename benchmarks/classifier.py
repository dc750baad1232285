"""What the classifier is worth and what it costs.

On real photos: train and val of `philippine-snakes` beside the checkout together, as ViT-Tiny sees them (a
store made by the job `features`, made anew unless --store names one). In each split three in ten observations
of every species are held out, less those photos of which a copy is trained on. The arms answer the same
observations:

- `recipe`: the package's own, with its default settings; everything chosen on folds of the training part.
- `logreg`: scikit-learn's LogisticRegression on standardised CLS tokens, C by grouped folds, photos averaged.
- `paper`: the seed paper's trainer on its DCT features, its faults in training mended.
- `neighbours`: the recipe's nearest photos alone.

`--long-tail` measures the recipe on so many splits of train alone, cut to 3 to 60 photos a species, held-out
ones included, and what the logit adjustment of its head gains (`over_unadjusted`).

`track1_over_...` are mean differences in points on the same splits, each with its 95 % interval (Student's t
over the splits; these share photos, so it is rather too narrow). `seconds` is the recipe's training, the
median of the splits.

At the official size: 168,144 photos of 1,784 species in a long tail, four blocks of 768 columns, drawn as
`benchmarks/synthetic.py` says. `official_seconds` is training with everything that it chooses, in a fresh
process that loads the blocks; `official_cpu_seconds` the processor time of it, which other load on the
machine disturbs less; `official_peak_mb` that process's peak memory.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import (
    PHILIPPINE_SNAKES,
    SHARED_DATA,
    finish,
    in_fresh_process,
    middle,
    options,
    peak_rss_mb,
    significant,
)
from benchmarks.synthetic import draw_features, power_law_counts
from snake_assets.ablation.paper_trainer import train_as_the_paper
from snake_assets.ablation.steps import PaperTrainer
from snake_assets.defs.assets.dependencies import FEATURE_TABLES
from snake_assets.learning.decision.pooling import (
    mean_by_observation,
    observation_rows,
    pool_observations,
    softmax,
)
from snake_assets.learning.decision.rules import argmax
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.reading import read_splits
from snake_assets.learning.settings import Recipe
from snake_assets.learning.train import train_classifier
from snake_assets.snakeclef.metadata import VENOM_LIST, read_venom_list
from snake_assets.snakeclef.metric import Scores, score
from snake_assets.storage.tables.table import open_table

HELD_OUT = 0.3
OFFICIAL_BLOCKS = ("cls", "patch_mean", "earlier_cls", "middle_mean")
MENDED = PaperTrainer(split_by="observation", orthonormal_dct=True, checkpoint="best")
LONG_TAIL = (3, 60)
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
Answers = Mapping[str, npt.NDArray[np.int32]]


def real_features(store: Path, wanted: Sequence[str] = ("train", "val")) -> FeatureTable:
    """Splits of the real photos; the store is filled where it is empty."""
    settings = {
        "SNAKE_DATA": str(PHILIPPINE_SNAKES),
        "SNAKE_STORE": str(store),
        "SNAKE_BACKBONE": str(SHARED_DATA / "weights" / "vit-tiny-imagenet"),
    }
    dagster = [sys.executable, "-m", "dagster", "job", "execute", "-m", "snake_assets.definitions"]
    splits = []
    for split in wanted:
        if not (store / FEATURE_TABLES[0] / split).is_dir():
            tags = f'{{"dagster/partition": "{split}"}}'
            command = [*dagster, "-j", "features", "--tags", tags]
            subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True)
        splits.append([open_table(store / name / split) for name in FEATURE_TABLES])
    return read_splits(*splits)


def halves(table: FeatureTable, seed: int) -> tuple[FeatureTable, FeatureTable]:
    """The training part and the held-out part of a split."""
    rng = np.random.default_rng(seed)
    observations, digests = np.array(table.observation_id), np.array(table.sha256)
    species = np.asarray(table.class_id)
    out = np.zeros(len(table), dtype=bool)
    for one in np.unique(species):
        names = np.unique(observations[species == one])
        drawn = rng.choice(names, max(1, round(HELD_OUT * len(names))), replace=False)
        out |= np.isin(observations, drawn) & (species == one)
    copies = out & np.isin(digests, digests[~out])
    return table.rows(np.flatnonzero(~out)), table.rows(np.flatnonzero(out & ~copies))


def answers_of_all(
    train: FeatureTable, test: FeatureTable, venomous: Mapping[int, bool]
) -> tuple[Answers, float]:
    """Each arm's class_id of the observations, first seen first, and the seconds that the recipe trained."""
    began = time.perf_counter()
    classifier = train_classifier(train, venomous, Recipe(), train.fingerprint or "")
    seconds = time.perf_counter() - began
    heads, votes = classifier.head_probabilities(test), classifier.votes(test)
    paper = train_as_the_paper(train, MENDED, 0)
    logreg, species = logistic_regression(train, test)

    observations, rows = observation_rows(test.observation_id)

    def likeliest(
        photos: npt.NDArray[np.floating], class_ids: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int32]:
        return argmax(mean_by_observation(photos, rows, len(observations)), class_ids)

    near = pool_observations(votes, test.observation_id)[1]
    own = classifier.observe(classifier.blended(heads, votes), test.observation_id)
    return {
        "recipe": classifier.answers(own, classifier.rule),
        "logreg": likeliest(logreg, species),
        "paper": likeliest(softmax(paper.head.logits([test.blocks[MENDED.features]])), paper.class_ids),
        "neighbours": argmax(near, classifier.class_ids),
    }, seconds


def logistic_regression(
    train: FeatureTable, test: FeatureTable
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Probabilities of the test photos, and the species of their columns."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    warnings.simplefilter("ignore", ConvergenceWarning)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    search = GridSearchCV(model, {"logisticregression__C": STRENGTHS}, cv=GroupKFold(5))
    search.fit(train.blocks[CLS], train.class_id, groups=train.observation_id)
    return search.predict_proba(test.blocks[CLS]), np.asarray(search.classes_, dtype=np.int32)


def measure_real(table: FeatureTable, venomous: Mapping[int, bool], splits: int) -> dict[str, object]:
    """All arms on all splits."""
    scores: dict[str, list[Scores]] = {}
    times = []
    for seed in range(splits):
        train, test = halves(table, seed)
        labels = truth_of(test)
        answers, seconds = answers_of_all(train, test, venomous)
        times.append(seconds)
        for name, answer in answers.items():
            scores.setdefault(name, []).append(score(labels, answer, venomous))
        told = ", ".join(f"{name} {found[-1].track1:.2f}" for name, found in scores.items())
        print(f"split {seed + 1} of {splits}: {told}", flush=True)
    track1 = {name: np.array([one.track1 for one in found]) for name, found in scores.items()}
    result: dict[str, object] = {"splits": splits, "seconds": middle(times)}
    for name, found in scores.items():
        prefix = "" if name == "recipe" else f"{name}_"
        result[f"{prefix}track1"] = round(float(track1[name].mean()), 2)
        result[f"{prefix}f1"] = round(float(np.mean([one.f1 for one in found])), 2)
        if name != "recipe":
            difference = track1["recipe"] - track1[name]
            result[f"track1_over_{name}"] = round(float(difference.mean()), 2)
            result[f"track1_over_{name}_interval"] = t_interval(difference)
    return result


def long_tail(table: FeatureTable, seed: int) -> FeatureTable:
    """Of each species 3 to 60 photos, by a geometric series; which species has how many is drawn."""
    rng = np.random.default_rng(seed)
    species = rng.permutation(np.unique(np.asarray(table.class_id)))
    counts = np.geomspace(*LONG_TAIL, len(species)).round().astype(int)
    drawn = [
        rng.permutation(np.flatnonzero(table.class_id == one))[:count]
        for one, count in zip(species, counts, strict=True)
    ]
    return table.rows(np.sort(np.concatenate(drawn)))


def measure_long_tail(table: FeatureTable, venomous: Mapping[int, bool], splits: int) -> dict[str, object]:
    """The recipe on long-tailed sets, and the same without the logit adjustment of its head."""
    scores: dict[str, list[Scores]] = {"with": [], "without": []}
    for seed in range(splits):
        train, test = halves(long_tail(table, seed), seed)
        adjusted = train_classifier(train, venomous, Recipe(), train.fingerprint or "")
        photos = np.bincount(np.searchsorted(adjusted.class_ids, np.asarray(train.class_id)))
        bias = adjusted.head.bias + np.log(photos).astype(np.float32)
        plain = replace(adjusted, head=replace(adjusted.head, bias=bias))
        for found, classifier in zip(scores.values(), (adjusted, plain), strict=True):
            scored = score(truth_of(test), classifier.identify(test).class_id, venomous)
            found.append(scored)
    result: dict[str, object] = {"long_tail_splits": splits}
    for name in ("track1", "f1"):
        own, other = (np.array([getattr(one, name) for one in found]) for found in scores.values())
        result[f"long_tail_{name}"] = round(float(own.mean()), 2)
        result[f"long_tail_{name}_over_unadjusted"] = round(float((own - other).mean()), 2)
        result[f"long_tail_{name}_over_unadjusted_interval"] = t_interval(own - other)
    return result


def truth_of(test: FeatureTable) -> list[int]:
    """class_id of each observation, first seen first: that of its first photo."""
    pairs = zip(reversed(test.observation_id), np.asarray(test.class_id)[::-1].tolist(), strict=True)
    truth = dict(pairs)
    return [truth[name] for name in dict.fromkeys(test.observation_id)]


def t_interval(differences: npt.NDArray[np.float64]) -> list[float] | None:
    """The 95 % interval of a mean of paired differences; None for a single one."""
    from scipy.stats import t

    if len(differences) < 2:
        return None
    reach = float(t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / len(differences) ** 0.5)
    return [round(float(differences.mean()) - reach, 2), round(float(differences.mean()) + reach, 2)]


def measure_official(folder: Path, say: Callable[[str], None] = print) -> dict[str, object]:
    """Train on what `main` drew, in a process of its own."""
    labels = np.load(folder / "labels.npy")
    rank = np.argsort(np.argsort(labels, kind="stable"), kind="stable")
    table = FeatureTable(
        image_id=[str(row) for row in range(len(labels))],
        # Two photos of a species each.
        observation_id=[f"{label}-{place // 2}" for label, place in zip(labels, rank, strict=True)],
        blocks={name: np.load(folder / f"{name}.npy") for name in OFFICIAL_BLOCKS},
        class_id=labels.astype(np.int32),
        sha256=[str(row) for row in range(len(labels))],
        fingerprint="drawn",
    )
    loaded = peak_rss_mb()
    venomous = {species: species % 6 == 0 for species in range(int(labels.max()) + 1)}
    began, cpu = time.perf_counter(), time.process_time()
    classifier = train_classifier(table, venomous, Recipe(), "drawn", say)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "official_seconds": significant(seconds),
        "official_cpu_seconds": significant(cpu),
        "official_peak_mb": significant(peak_rss_mb()),
        "official_loaded_mb": significant(loaded),
        "official_track1_on_folds": classifier.choice.best.track1,
        "official_chosen": [classifier.choice.best.strength, classifier.choice.best.share],
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=1)
    parser.add_argument("--splits", type=int, default=6, help="splits of the real photos; 0 leaves them out")
    parser.add_argument("--long-tail", type=int, default=0, help="splits of long-tailed sets")
    parser.add_argument("--store", type=Path, default=None, help="store with the real photos' embeddings")
    parser.add_argument("--photos", type=int, default=168_144, help="official size; 0 leaves it out")
    parser.add_argument("--classes", type=int, default=1784, help="species of the official size")
    parser.add_argument("--dims", type=int, default=768, help="columns of each block there")
    parser.add_argument("--work", type=Path, default=None, help="existing folder for what is made on the way")
    given = parser.parse_args(arguments)
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        folder = Path(name)
        if (given.splits or given.long_tail) and PHILIPPINE_SNAKES.is_dir():
            venomous = read_venom_list(PHILIPPINE_SNAKES / "metadata" / VENOM_LIST)
            store = given.store or folder / "store"
            if given.splits:
                result |= measure_real(real_features(store), venomous, given.splits)
            if given.long_tail:
                result |= measure_long_tail(real_features(store, ["train"]), venomous, given.long_tail)
        if given.photos:
            counts = power_law_counts(given.classes, given.photos)
            drawn = draw_features(counts, len(OFFICIAL_BLOCKS) * given.dims)
            np.save(folder / "labels.npy", drawn.labels)
            for number, block in enumerate(OFFICIAL_BLOCKS):
                columns = slice(number * given.dims, (number + 1) * given.dims)
                np.save(folder / f"{block}.npy", np.ascontiguousarray(drawn.features[:, columns]))
            del drawn
            result |= in_fresh_process(measure_official, folder)
    return finish(result)


if __name__ == "__main__":
    main()
