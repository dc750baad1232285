"""A package loads where it is copied to, is refused where it was changed, and answers as the classifier."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from snake_assets.identification import IdentificationError, Package, load_package
from snake_assets.identification.exports import SCHEMA
from snake_assets_tests.fuzz.photo_seeds import photo_seeds
from snake_assets_tests.identification.conftest import Made


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
