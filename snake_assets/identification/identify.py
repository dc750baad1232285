"""A package at work: from photos to answers, by the same forward pass as the embedding tables."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from snake_assets.detection.finders.base import Finder, best_find, fitted
from snake_assets.identification.exports import (
    SCHEMA,
    UNKNOWN,
    VENOMOUS_UNSURE,
    Answer,
    Likely,
)
from snake_assets.identification.gallery import Gallery, Nearness, observe
from snake_assets.identification.photos import Photo, printable
from snake_assets.identification.thresholds import Observations, Species, Thresholds
from snake_assets.learning.classifier import Observed, SpeciesClassifier
from snake_assets.learning.feature_table import CLS, CROP_OF_BLOCK, WHOLE_BLOCKS, FeatureTable
from snake_assets.vision.backbone.features import launch
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.errors import UnreadablePhoto
from snake_assets.vision.preprocessing.crops import CropInput
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region
from snake_assets.vision.preprocessing.transforms import BackboneInput

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone

# Threads that decode ahead of the model, and batches that they may be ahead.
DECODERS, AHEAD = 2, 2
# How the error of a photo begins whose bytes could not be had.
UNREAD = "cannot be read: "
Pixels = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float64]


class IdentificationError(ValueError):
    """A call or a package that cannot be used; the message says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class Crops:
    """How the snake is found and cut out, where the classifier looks at crops too."""

    finder: Finder
    input: CropInput


@dataclass(frozen=True, eq=False)
class _Seen:
    """A photo on its way: as the backbone wants it; where crops are on, its bytes and how the finder wants
    it; its vectors and where the snake is; or why it cannot be read."""

    photo: Photo
    error: str = ""
    pixels: Pixels | None = None
    data: bytes = b""
    to_search: Pixels | None = None
    vectors: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    region: Region = WHOLE_FRAME


@dataclass(frozen=True, eq=False)
class Package:
    """A trained model with all that answering takes (see package.py, which reads it).

    Attributes:
        name: of the model, with its digest.
        classifier: from vectors to probabilities.
        species: names, genera and venom of its columns.
        nearness: of photos to the training photos of a species.
        thresholds: how far an answer may go.
        gallery: photos to compare with.
        records: class_id, code, photos: how many photos of a species the training metadata have by country.
        backbone: from photos to vectors.
        batch_size: of the embedding tables.
        crops: as above; None where the classifier looks at whole photos alone.
    """

    name: str
    classifier: SpeciesClassifier
    species: Species
    nearness: Nearness
    thresholds: Thresholds
    gallery: Gallery
    records: pl.DataFrame
    backbone: Backbone
    batch_size: int
    crops: Crops | None = None

    def identify(
        self,
        photos: Iterable[str | Path | bytes],
        observation_id: Sequence[str] | None = None,
        *,
        top_k: int = 5,
        country: str | None = None,
        species: Sequence[str] | None = None,
        batch_size: int | None = None,
    ) -> pl.DataFrame:
        """Answer some photos, in their order: a row each, with the columns of `predict`'s CSV.

        Args:
            photos: files, or the bytes of files.
            observation_id: of each photo; those of one observation are answered together. None: each alone.
            top_k: how many of the likeliest species are named.
            country: as for `weights`; likewise `species`.
            species: see there.
            batch_size: photos in a forward pass; None: as in the embedding tables.

        Raises:
            IdentificationError: as `weights`, or the lengths differ.
        """
        contents = [photo if isinstance(photo, bytes) else Path(photo) for photo in photos]
        paths = [
            f"photo {number}" if isinstance(content, bytes) else printable(content.as_posix())
            for number, content in enumerate(contents, 1)
        ]
        if observation_id is not None and len(observation_id) != len(paths):
            raise IdentificationError(f"{len(observation_id)} observation ids for {len(paths)} photos.")
        # A photo may be asked about twice, and is then two observations.
        ids = observation_id or [f"{number}" for number in range(len(paths))]
        asked = [Photo(path, one, content) for path, one, content in zip(paths, ids, contents, strict=True)]
        found = self.answers(asked, self.weights(country, species), top_k, batch_size)
        rows = [answer.row() for answers in found for answer in answers]
        if observation_id is None:
            rows = [{**row, "observation_id": row["path"]} for row in rows]
        by_place = dict(zip(_together(ids), rows, strict=True))
        return pl.DataFrame([by_place[place] for place in range(len(asked))], schema=SCHEMA)

    def answers(
        self, photos: Sequence[Photo], weights: Weights | None, top_k: int, batch_size: int | None
    ) -> Iterator[list[Answer]]:
        """Answer observation by observation, first named first, as soon as all of its photos are seen.

        Args:
            photos: in any order.
            weights: of the species, as `weights` gives them.
            top_k: as for `identify`; likewise `batch_size`.
            batch_size: see there.

        Raises:
            EmbeddingError: the device's memory is too small.
        """
        missing = Counter(photo.observation_id for photo in photos)
        together = [photos[place] for place in _together([photo.observation_id for photo in photos])]
        waiting: list[_Seen] = []
        for batch in self._batches(together, batch_size or self.batch_size):
            missing.subtract(one.photo.observation_id for one in batch)
            waiting += batch
            ready = [one for one in waiting if not missing[one.photo.observation_id]]
            waiting = [one for one in waiting if missing[one.photo.observation_id]]
            yield from self._answered(ready, weights, top_k)

    def features(self, photos: Sequence[Photo]) -> FeatureTable:
        """The vectors of those photos that can be read, by their paths, which must differ.

        Raises:
            EmbeddingError: the device's memory is too small.
        """
        batches = self._batches(photos, self.batch_size)
        return _features([one for batch in batches for one in batch if not one.error])

    def weights(self, country: str | None, species: Sequence[str] | None) -> Weights | None:
        """By what the probability of each species is multiplied, [C]; None without country and list.

        A species with n records elsewhere and none in the country keeps 1 / (1 + n) of its probability, the
        share that another record would have there by Laplace's rule: of a rare one, absence says little.

        Args:
            country: where all photos were taken, a code of the training metadata.
            species: the only ones that come into question, by binomial name; None for all.

        Raises:
            IdentificationError: a species or a country that the package does not know.
        """
        if country is None and species is None:
            return None
        class_ids = self.classifier.class_ids
        weights = np.ones(len(class_ids))
        if country is not None:
            there = self.records.filter(code=country)
            if there.is_empty():
                known = ", ".join(self.records["code"].unique().sort()) or "none"
                raise IdentificationError(
                    f"--country {country}: no training photo has that code (they have {known})."
                )
            columns = np.searchsorted(class_ids, self.records["class_id"])
            everywhere = np.bincount(columns, self.records["photos"], len(class_ids))
            weights = np.where(np.isin(class_ids, there["class_id"]), 1.0, 1 / (1 + everywhere))
        if species is not None:
            unknown = sorted(set(species) - set(self.species.names))
            if unknown or not species:
                raise IdentificationError(
                    f"{len(unknown)} of the {len(species)} species asked for are none of the package's "
                    f"{len(class_ids)}: {', '.join(unknown[:5])}. taxonomy.csv lists them."
                )
            weights = weights * np.isin(self.species.names, species)
        return weights

    @cached_property
    def _whole(self) -> BackboneInput:
        return self.backbone.input

    def _batches(self, photos: Sequence[Photo], size: int) -> Iterator[list[_Seen]]:
        """Photos with their vectors; threads decode ahead of the model."""
        waiting: deque[list[Future[_Seen]]] = deque()
        left = iter(photos)
        with ThreadPoolExecutor(DECODERS, "decode") as pool:
            try:
                while True:
                    while len(waiting) <= AHEAD and (batch := [*islice(left, size)]):
                        waiting.append([pool.submit(self._read, photo) for photo in batch])
                    if not waiting:
                        return
                    yield self._embedded([reading.result() for reading in waiting.popleft()])
            finally:
                pool.shutdown(cancel_futures=True)

    def _read(self, photo: Photo) -> _Seen:
        try:
            data = photo.read()
            pixels = self._whole.prepared(data, WHOLE_FRAME)
            if self.crops is None:
                return _Seen(photo, pixels=pixels)
            side = self.crops.finder.longest_side
            return _Seen(photo, "", pixels, data, fitted(decode(data, at_least=side), side))
        except UnreadablePhoto as fault:
            return _Seen(photo, f"{fault.reason}: {fault.detail}")
        except OSError as error:
            return _Seen(photo, f"{UNREAD}{error.strerror or error}")

    def _embedded(self, batch: Sequence[_Seen]) -> list[_Seen]:
        read = [(one, one.pixels) for one in batch if one.pixels is not None]
        if not read:
            return [*batch]
        whole = launch(self.backbone, self._whole.together([pixels for _, pixels in read])).features()
        features = {name: getattr(whole, name) for name in WHOLE_BLOCKS}
        regions = [WHOLE_FRAME] * len(read)
        if self.crops:
            finds = self.crops.finder.find([one.to_search for one, _ in read if one.to_search is not None])
            regions = [best_find(found).region for found in finds]
            cut = [
                self.crops.input.prepared(one.data, region)
                for (one, _), region in zip(read, regions, strict=True)
            ]
            of_crops = launch(self.backbone, self.crops.input.together(cut)).features()
            features |= {CROP_OF_BLOCK[name]: getattr(of_crops, name) for name in WHOLE_BLOCKS}
        wanted = {CLS, *self.classifier.features}
        seen = iter(
            _Seen(one.photo, vectors={name: features[name][row] for name in wanted}, region=regions[row])
            for row, (one, _) in enumerate(read)
        )
        return [one if one.pixels is None else next(seen) for one in batch]

    def _answered(self, seen: Sequence[_Seen], weights: Weights | None, top_k: int) -> Iterator[list[Answer]]:
        """The answers of whole observations."""
        answers: dict[int, Answer] = {}
        if readable := [one for one in seen if not one.error]:
            table = _features(readable)
            names, said = observe(self.classifier, self.nearness, table)
            decided = dict(zip(names, self._decided(names, said, weights, top_k), strict=True))
            whitened = self.classifier.neighbours.whitened(table.blocks[CLS])
            for one, vector in zip(readable, whitened, strict=True):
                answer = decided[one.photo.observation_id]
                harmless = answer.level in ("species", "genus") and answer.answer not in self._venomous_names
                alike = self.gallery.look_alikes(vector, harmless)
                answers[id(one)] = replace(answer, path=one.photo.path, look_alikes=alike, region=one.region)
        by_observation: dict[str, list[Answer]] = {}
        for one in seen:
            path, name = one.photo.path, one.photo.observation_id
            unreadable = Answer(path, name, "", "unreadable", error=printable(one.error))
            by_observation.setdefault(name, []).append(answers.get(id(one), unreadable))
        yield from by_observation.values()

    @cached_property
    def _venomous_names(self) -> frozenset[str]:
        """Of species, and of genera that have one; none where venom is not known."""
        venomous = () if self.species.venomous is None else np.flatnonzero(self.species.venomous).tolist()
        names = [self.species.names[column] for column in venomous]
        return frozenset([*names, *(name.split()[0] for name in names)])

    def _decided(
        self, names: Sequence[str], said: Observations, weights: Weights | None, top_k: int
    ) -> Iterator[Answer]:
        """An answer for each observation, still without what is the photos' own."""
        refused, species = self.thresholds.refused(said), self.species
        if weights is not None:
            weighted = said.probabilities * weights
            total = weighted.sum(axis=1, keepdims=True)
            # Where all that is allowed was ruled out before, the weights alone are left.
            weighted = np.where(total > 0, weighted, weights) / np.where(total > 0, total, weights.sum())
            observed = Observed(names, weighted, np.ones(len(names), np.int32))
            decided = self.classifier.answers(observed, self.classifier.rule)
            answered = np.searchsorted(self.classifier.class_ids, decided)
            said = Observations(weighted, answered, said.nearness)
        levels = self.thresholds.levels(said, species, refused)
        could_be = said.said(species)
        knows_venom = species.venomous is not None
        words = {"species": species.names, "genus": species.genera, "venomous_unsure": ["", VENOMOUS_UNSURE]}
        inside = self.thresholds.sets(said) & (True if weights is None else weights > 0)
        for row, name in enumerate(names):
            level = next((reached for reached, here in levels.items() if here[row]), None)
            answer, probability = UNKNOWN, None
            if level:
                probabilities, number = could_be[level]
                answer, probability = words[level][int(number[row])], float(probabilities[row])
            likeliest = np.argsort(-said.probabilities[row], kind="stable").tolist()
            yield Answer(
                path="",
                observation_id=name,
                answer=answer,
                level=level or "unknown",
                probability=probability,
                p_venomous=float(could_be["venomous_unsure"][0][row]) if knows_venom else None,
                prediction_set=tuple(species.names[one] for one in likeliest if inside[row, one]),
                top_k=tuple(
                    Likely(species.names[one], float(said.probabilities[row, one]))
                    for one in likeliest[:top_k]
                ),
            )


def _features(seen: Sequence[_Seen]) -> FeatureTable:
    names = seen[0].vectors if seen else ()
    return FeatureTable(
        image_id=[one.photo.path for one in seen],
        observation_id=[one.photo.observation_id for one in seen],
        blocks={name: np.stack([one.vectors[name] for one in seen]) for name in names},
    )


def _together(observation_id: Sequence[str]) -> list[int]:
    """Places of the photos so that those of an observation come one after the other, first seen first."""
    first = {name: number for number, name in enumerate(dict.fromkeys(observation_id))}
    return sorted(range(len(observation_id)), key=lambda place: first[observation_id[place]])
