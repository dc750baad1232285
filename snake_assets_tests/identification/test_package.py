"""A package loads where it is copied to, is refused where it was changed, and answers as the classifier."""

import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from snake_assets.cli import main
from snake_assets.identification import IdentificationError, Package, load_package
from snake_assets.identification.entry.build import write_entry
from snake_assets.identification.exports import SCHEMA
from snake_assets_tests.fuzz.photo_seeds import photo_seeds
from snake_assets_tests.identification.conftest import SCORES, Made, make_package, package_of


@pytest.fixture(scope="module")
def package(made: Made) -> Package:
    return load_package(made.folder, "cpu")


def answered(package: Package, made: Made, **options: Any) -> pl.DataFrame:
    paths, observations = zip(*made.photos, strict=True)
    return package.identify(paths, observations, **options)


def test_it_holds_safetensors_text_and_thumbnails_alone(made: Made) -> None:
    kinds = {path.suffix for path in made.folder.rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json", ".csv", ".md", ".jpg"}
    taxonomy = pl.read_csv(made.folder / "taxonomy.csv")
    assert taxonomy.columns == ["class_id", "binomial_name", "genus", "venomous"]
    assert taxonomy["class_id"].to_list() == made.classifier.class_ids.tolist()


def test_probabilities_are_those_of_the_classifier_on_the_embedding_tables(
    package: Package, made: Made
) -> None:
    found = answered(package, made)
    assert found.columns == [*SCHEMA] and found["path"].to_list() == [str(path) for path, _ in made.photos]
    expected = made.classifier.identify(made.features)
    names = dict(zip(made.classifier.class_ids.tolist(), package.species.names, strict=True))
    for observation, class_id, probability in zip(
        expected.observation_id, expected.class_id.tolist(), expected.top5_probability[:, 0], strict=True
    ):
        rows = found.filter((pl.col("observation_id") == observation) & (pl.col("level") != "unreadable"))
        top = rows["top_k"][0][0]
        assert top["species"] == names[class_id] and abs(top["probability"] - probability) < 1e-5
        if rows["level"][0] == "species":
            assert rows["answer"][0] == names[class_id]


def test_of_backbones_beside_each_other_all_are_in_it_and_it_answers_by_all(
    made: Made, demo_backbone: Path, tmp_path: Path
) -> None:
    """Of another size and other colours, so that photos are made ready in two ways."""
    other = Path(shutil.copytree(demo_backbone, tmp_path / "other"))
    config = json.loads((other / "preprocessor_config.json").read_text())
    config |= {"crop_size": {"height": 112, "width": 112}, "image_mean": [0.5, 0.5, 0.5]}
    (other / "preprocessor_config.json").write_text(json.dumps(config))
    of_two = make_package(tmp_path, f"{demo_backbone},{other}")
    shutil.rmtree(other)
    package = load_package(of_two.folder, "cpu")
    test_probabilities_are_those_of_the_classifier_on_the_embedding_tables(package, of_two)
    assert package.name.startswith(f"{demo_backbone.name} and other ")
    assert f"`{demo_backbone.name} and other`, frozen" in (of_two.folder / "MODEL_CARD.md").read_text()
    of_each = [one.classifier.features["cls"] for one in (made, of_two)]
    assert of_each[1] == 2 * of_each[0]
    formats = [json.loads((one.folder / "package.json").read_text())["format"] for one in (made, of_two)]
    assert formats == [2, 3]
    with pytest.raises(IdentificationError, match=r"backbone and other, an entry with one backbone"):
        write_entry(of_two.classifier, of_two.backbone, None, tmp_path)


def test_photos_of_one_observation_have_one_answer_and_each_its_own_look_alikes(
    package: Package, made: Made
) -> None:
    found = answered(package, made).filter(pl.col("level") != "unreadable")
    assert found.group_by("observation_id").agg(pl.col("answer").n_unique())["answer"].max() == 1
    for shown in found["look_alikes"].to_list():
        assert len(shown) in (5, 6)
        assert all((made.folder / one["photo"]).is_file() for one in shown)


def test_bytes_are_answered_as_files_and_what_is_no_photo_is_a_row(package: Package, made: Made) -> None:
    path, _ = made.photos[0]
    phones = [seed.data for seed in photo_seeds() if seed.name in ("heic", "avif")]
    found = package.identify([path, path.read_bytes(), *phones, b"no photo", path.parent / "none.jpg"])
    assert found["top_k"][0].to_list() == found["top_k"][1].to_list()
    assert [level == "unreadable" for level in found["level"]] == [False] * 4 + [True] * 2
    assert found["error"][4].startswith("not_an_image") and "No such file" in found["error"][5]


def test_a_list_of_species_leaves_only_these(package: Package, made: Made) -> None:
    wanted = tuple(package.species.names[:2])
    found = answered(package, made, species=wanted, top_k=2).filter(pl.col("level") != "unreadable")
    for row in found.iter_rows(named=True):
        assert {one["species"] for one in row["top_k"]} == set(wanted)
        assert sum(one["probability"] for one in row["top_k"]) == pytest.approx(1, abs=1e-5)
        assert set(row["prediction_set"]) <= set(wanted)
    with pytest.raises(IdentificationError, match=r"1 of the 1 species .* Naja imaginaria"):
        package.identify([], species=["Naja imaginaria"])


def test_species_never_recorded_in_a_country_are_down_weighted_by_their_records(package: Package) -> None:
    weights = package.weights("IN", None)
    assert weights is not None
    # Odd columns have records in both countries, even ones a single one elsewhere.
    assert weights[:4].tolist() == [0.5, 1, 0.5, 1]
    with pytest.raises(IdentificationError, match=r"--country XX.*IN, PH"):
        package.weights("XX", None)


def change(name: str, to: bytes | None = None) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        (folder / name).write_bytes(to if to is not None else (folder / name).read_bytes() + b" ")

    return changed


def described(**otherwise: object) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        text = json.loads((folder / "package.json").read_text())
        (folder / "package.json").write_text(json.dumps(text | otherwise))

    return changed


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (change("thresholds.json"), r"changed, added or taken away: thresholds\.json"),
        (change("backbone/model.safetensors"), r"away: backbone/model\.safetensors"),
        (change("backbone/extra.safetensors", b""), r"away: backbone/extra\.safetensors"),
        (lambda folder: (folder / "taxonomy.csv").unlink(), r"away: taxonomy\.csv"),
        (lambda folder: (folder / "package.json").unlink(), "no package"),
        (change("package.json", b"{"), "cannot be read"),
        (described(precision="bf16"), r"away: package\.json"),
        (described(format=0), "is of format 0"),
    ],
)
def test_a_package_that_was_changed_is_refused_and_a_copy_is_not(
    made: Made, tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made.folder, copy)
    (copy / ".DS_Store").write_bytes(b"of no package's concern")
    assert load_package(copy, "cpu").name == load_package(made.folder, "cpu").name
    spoil(copy)
    with pytest.raises(IdentificationError, match=told):
        load_package(copy, "cpu")


def test_the_card_says_what_it_is_worth_and_what_it_must_not_be_used_for(made: Made) -> None:
    card = (made.folder / "MODEL_CARD.md").read_text()
    assert (
        "| Track 1 | 90.5 | 88.0 to 92.0 | 20.0 |" in card and "| macro F1, % | 90.5 | none | 20.0 |" in card
    )
    assert "must not be used for" in card and "licence of `backbone`" in card
    assert "PH 20, IN 18" in card and "4, of which 2 are medically important" in card
    assert "| right | 90.0% | 93.0% | none to tell by |" in card
    assert "36.0% of the observations are answered" in card and "0.876 (0.847 to 0.904)" in card


def test_where_venom_is_not_known_nothing_is_said_of_it_in_any_format(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = "1 of 4 species have no venom status, class_id 9 first"
    scores = {**SCORES, "track1": None, "track2": None, "venom_not_known": gap}
    classifier = dataclasses.replace(made.classifier, venomous=None)
    folder = tmp_path / "package"
    package_of(
        folder, made.backbone, made.train, made.thumbnails, classifier, {3: True, 5: True, 8: False}, scores
    )
    found = answered(load_package(folder, "cpu"), made)
    assert found["p_venomous"].null_count() == len(found)
    assert "venomous_unsure" not in found["level"]
    shown = found["look_alikes"].explode().struct.unnest()
    assert shown["venomous"].null_count() == len(shown) == 5 * len(found)
    assert pl.read_csv(folder / "taxonomy.csv")["venomous"].null_count() == 4
    thresholds = json.loads((folder / "thresholds.json").read_text())
    assert thresholds["least"].keys() == {"species", "genus"}
    assert thresholds["promises"]["venomous_coverage"] is None
    card = (folder / "MODEL_CARD.md").read_text()
    assert gap in card and "does not know which species are venomous" in card
    assert "Track" not in card and "macro F1" in card
    # A known answer in each format is the same but for venom.
    for kind, empty in {"csv": "", "jsonl": None, "dwc": None, "megadetector": None}.items():
        assert main(["predict", str(made.photos[0][0]), "--model", str(folder), "--format", kind]) == 0
        out, err = capsys.readouterr()
        assert "without knowing which species are venomous" in err
        if kind == "csv":
            assert next(csv.DictReader(io.StringIO(out)))["p_venomous"] == empty
        elif kind == "jsonl":
            assert json.loads(out)["p_venomous"] is empty
        elif kind == "dwc":
            remarks = next(csv.DictReader(io.StringIO(out)))["identificationRemarks"]
            assert json.loads(remarks)["p_venomous"] is empty
        else:
            assert "venomous" not in out
