"""Checks of the submission."""

from collections.abc import Mapping
from itertools import islice

from snake_assets.data_quality.drift import answer_balance
from snake_assets.data_quality.findings import Findings
from snake_assets.data_quality.labels import submission_against, unknown_answers
from snake_assets.defs.checks.factory import Check, Site
from snake_assets.defs.checks.tables import IMAGES
from snake_assets.defs.lib.metadata import SHOWN
from snake_assets.snakeclef.image_table import class_balance
from snake_assets.snakeclef.submission import SUBMISSION_FILE, read_submission
from snake_assets.storage.io import sizes
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import open_table

SUBMISSION = "submission"


def _file(site: Site) -> AnyPath:
    return site.store.folder(SUBMISSION) / SUBMISSION_FILE


def _is_there(site: Site) -> bool:
    return bool(sizes(_file(site).parent)) and not site.raw_data.left_out("test", site.store)


def _complete(site: Site) -> Mapping[str, Findings]:
    if not _is_there(site):
        return {}
    rows = site.layout.rows("test")
    observations = list(dict.fromkeys(row.observation_id for row in rows))
    return {SUBMISSION: submission_against(_file(site), observations)}


def _known(site: Site) -> Mapping[str, Findings]:
    if not _is_there(site):
        return {}
    return {SUBMISSION: unknown_answers(_file(site), site.venomous(), site.is_official)}


def _balance(site: Site) -> Mapping[str, Findings]:
    train = site.store.folder(IMAGES, "train")
    if not (_is_there(site) and read_manifest(train)):
        return {}
    counts = class_balance(open_table(train), site.venomous()).species_counts
    trained = dict(counts.select("class_id", "observations").iter_rows())
    balance = answer_balance(list(read_submission(_file(site)).values()), trained)
    most = site.limits.most_imbalance
    faults = [
        f"class_id {class_id} is {ours:.1%} of the answers and {theirs:.1%} of train's observations"
        for class_id, (theirs, ours) in islice(balance.shares.items(), SHOWN)
    ]
    figures = {
        "distance": f"{balance.distance:.3f}",
        "by chance": f"{balance.expected:.3f}",
        "above chance": f"{balance.excess:.3f}",
    }
    headline = (
        f"the species differ from train's by {balance.distance:.2f} where chance gives "
        f"{balance.expected:.2f}; the limit is {most:g} above chance"
    )
    return {SUBMISSION: Findings(faults if balance.excess > most else (), figures, headline)}


SUBMISSION_CHECKS = [
    Check(
        SUBMISSION,
        "answers_every_test_observation",
        "Every observation of test is answered once, in order, under its own id.",
        "Holds submission.csv against the test metadata, id by id. A missing or misspelt id is scored as "
        "wrong, or the whole file is refused. When it fails, materialize image_table and the embeddings of "
        "test, then submission.",
        _complete,
    ),
    Check(
        SUBMISSION,
        "class_ids_in_venom_list",
        "The venom list has every class_id that is answered.",
        "Holds the answers against venomous_status_list.csv. A number that is no class_id, such as a place "
        "in the classifier's own list, is wrong whatever was meant. When it fails, train the classifier "
        "again with the official list, then materialize submission. Data in another layout may do without.",
        _known,
    ),
    Check(
        SUBMISSION,
        "species_as_often_as_in_train",
        "Species are answered about as often as train has them.",
        "Warns where the total variation distance between the species of the answers and of train's "
        "observations is above what chance gives by more than most_imbalance (default 0.2). Few "
        "species answered again and again, or rare ones everywhere, mean features or labels that do not "
        "fit. When it warns, look at the species that it names and at test_resembles_train; the rule that "
        "spares venomous mistakes shifts answers somewhat.",
        _balance,
        blocking=False,
    ),
]
