"""A package at work: from photos to answers, by the same forward pass as the embedding tables."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from snake_assets.detection.finders.base import Finder, best_find, fitted
from snake_assets.identification.errors import IdentificationError
from snake_assets.identification.exports import COLUMNS, UNKNOWN, VENOMOUS_UNSURE, Answer, Level
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
Pixels = npt.NDArray[np.uint8]
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(COLUMNS, pl.String()),
        "probability": pl.Float64(),
        "p_venomous": pl.Float64(),
        "prediction_set": pl.List(pl.String()),
        "top_k": pl.List(pl.Struct({"species": pl.String(), "probability": pl.Float64()})),
        "look_alikes": pl.List(
            pl.Struct(
                {
                    "species": pl.String(),
                    "similarity": pl.Float64(),
                    "photo": pl.String(),
                    "venomous": pl.Boolean(),
                }
            )
        ),
    }
)


@dataclass(frozen=True)
class Options:
    """What is asked for beside the photos.

    Attributes:
        top_k: how many of the likeliest species are named.
        country: where all photos were taken, a code of the training metadata: species that were never
            recorded there are down-weighted.
        species: the only ones that come into question, by binomial name; None for all.
        batch_size: photos in a forward pass; None: as in the embedding tables.
    """

    top_k: int = 5
    country: str | None = None
    species: tuple[str, ...] | None = None
    batch_size: int | None = None


@dataclass(frozen=True)
class Crops:
    """How the snake is found and cut out, where the classifier looks at crops too."""

    finder: Finder
    input: CropInput


@dataclass(frozen=True)
class _Read:
    """A photo as the backbone wants it; where crops are on, its bytes and how the finder wants it."""

    pixels: Pixels
    data: bytes
    to_search: Pixels | None


@dataclass(frozen=True)
class _Seen:
    """A photo and its vectors, or why it has none."""

    photo: Photo
    vectors: Mapping[str, npt.NDArray[np.float32]]
    region: Region | None = None
    error: str = ""


@dataclass(frozen=True, eq=False)
class Package:
    """A trained model with all that answering takes (see package.py, which reads it).

    Attributes:
        name: of the model, with its digest.
        class_ids: of the species' columns, [C].
        species: names, genera and venom of the columns.
        classifier: from vectors to probabilities.
        nearness: of photos to the training photos of a species.
        thresholds: how far an answer may go.
        gallery: photos to compare with.
        records: country code -> photos of each species in the training metadata, [C].
        backbone: from photos to vectors.
        batch_size: of the embedding tables.
        crops: as above; None where the classifier looks at whole photos alone.
    """

    name: str
    class_ids: npt.NDArray[np.int32]
    species: Species
    classifier: SpeciesClassifier
    nearness: Nearness
    thresholds: Thresholds
    gallery: Gallery
    records: Mapping[str, npt.NDArray[np.int64]]
    backbone: Backbone
    batch_size: int
    crops: Crops | None = None

    def identify(
        self,
        photos: Iterable[str | Path | bytes],
        observation_id: Sequence[str] | None = None,
        options: Options | None = None,
    ) -> pl.DataFrame:
        """Answer some photos, in their order: a row each, with the columns of `predict`'s CSV.

        Args:
            photos: files, or the bytes of files.
            observation_id: of each photo; those of one observation are answered together. None: each alone.
            options: as there.

        Raises:
            IdentificationError: an option names what the package does not know, or the lengths differ.
        """
        contents = [photo if isinstance(photo, bytes) else Path(photo) for photo in photos]
        paths = [
            f"photo {number}" if isinstance(content, bytes) else printable(content.as_posix())
            for number, content in enumerate(contents, 1)
        ]
        ids = [f"{number}" for number in range(len(paths))] if observation_id is None else observation_id
        if len(ids) != len(paths):
            raise IdentificationError(f"{len(ids)} observation ids for {len(paths)} photos.")
        asked = [Photo(path, one, content) for path, one, content in zip(paths, ids, contents, strict=True)]
        rows: dict[int, Answer] = {}
        position = {id(photo): number for number, photo in enumerate(asked)}
        for answers in self.answers(asked, options or Options()):
            rows |= {position[id(photo)]: answer for photo, answer in answers}
        table = [rows[number].row() for number in range(len(asked))]
        if observation_id is None:
            table = [row | {"observation_id": row["path"]} for row in table]
        return pl.DataFrame(table, schema=SCHEMA)

    def answers(self, photos: Sequence[Photo], options: Options) -> Iterator[list[tuple[Photo, Answer]]]:
        """Answer observation by observation, as soon as all of an observation's photos are seen.

        Raises:
            IdentificationError: an option names what the package does not know.
            EmbeddingError: the device's memory is too small.
        """
        weights = self.weights(options)
        photos_of: dict[str, list[Photo]] = defaultdict(list)
        for photo in photos:
            photos_of[photo.observation_id].append(photo)
        together = [photo for group in photos_of.values() for photo in group]
        wanted, waiting = Counter(photo.observation_id for photo in photos), list[_Seen]()
        for batch in self._batches(together, options.batch_size or self.batch_size):
            waiting += batch
            there = Counter(one.photo.observation_id for one in waiting)
            done = {name for name, count in there.items() if count == wanted[name]}
            ready = [one for one in waiting if one.photo.observation_id in done]
            waiting = [one for one in waiting if one.photo.observation_id not in done]
            yield from self._answered(ready, weights, options.top_k)

    def weights(self, options: Options) -> npt.NDArray[np.float64] | None:
        """By what the probability of each species is multiplied, [C]; None without country and list.

        A species with n records elsewhere and none in the country keeps 1 / (1 + n) of its probability, the
        share that another record would have there by Laplace's rule: of a rare one, absence says little.

        Raises:
            IdentificationError: a species or a country that the package does not know.
        """
        if options.country is None and options.species is None:
            return None
        weights = np.ones(len(self.class_ids))
        if options.country is not None:
            if (records := self.records.get(options.country)) is None:
                known = ", ".join(sorted(self.records)) or "none"
                raise IdentificationError(
                    f"--country {options.country}: no training photo has that code (they have {known})."
                )
            everywhere = np.sum([*self.records.values()], axis=0)
            weights = np.where(records > 0, 1.0, 1 / (1 + everywhere))
        if options.species is not None:
            unknown = sorted(set(options.species) - set(self.species.names))
            if unknown or not options.species:
                raise IdentificationError(
                    f"{len(unknown)} of the {len(options.species)} species asked for are none of the "
                    f"package's {len(self.class_ids)}: {', '.join(unknown[:5])}. taxonomy.csv lists them."
                )
            weights = weights * np.isin(self.species.names, options.species)
        return weights

    @cached_property
    def _whole(self) -> BackboneInput:
        return BackboneInput(self.backbone.preprocessing)

    def _batches(self, photos: Sequence[Photo], size: int) -> Iterator[list[_Seen]]:
        """Photos with their vectors; threads decode ahead of the model."""
        waiting: deque[list[tuple[Photo, Future[_Read]]]] = deque()
        left = iter(photos)
        with ThreadPoolExecutor(DECODERS, "decode") as pool:
            try:
                while True:
                    while len(waiting) <= AHEAD and (batch := [*islice(left, size)]):
                        waiting.append([(photo, pool.submit(self._read, photo)) for photo in batch])
                    if not waiting:
                        return
                    yield self._seen(waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _read(self, photo: Photo) -> _Read:
        data = photo.read()
        pixels = self._whole.prepared(data, WHOLE_FRAME)
        if self.crops is None:
            return _Read(pixels, b"", None)
        side = self.crops.finder.longest_side
        return _Read(pixels, data, fitted(decode(data, at_least=side), side))

    def _seen(self, batch: Sequence[tuple[Photo, Future[_Read]]]) -> list[_Seen]:
        seen: dict[int, _Seen] = {}
        readable: list[tuple[Photo, _Read]] = []
        for photo, reading in batch:
            try:
                readable.append((photo, reading.result()))
            except UnreadablePhoto as fault:
                seen[id(photo)] = _Seen(photo, {}, error=f"{fault.reason}: {fault.detail}")
            except OSError as error:
                seen[id(photo)] = _Seen(photo, {}, error=f"cannot be read: {error.strerror or error}")
        for one in self._embedded(readable) if readable else ():
            seen[id(one.photo)] = one
        return [seen[id(photo)] for photo, _ in batch]

    def _embedded(self, readable: Sequence[tuple[Photo, _Read]]) -> Iterator[_Seen]:
        whole = launch(self.backbone, self._whole.together([read.pixels for _, read in readable])).features()
        features = {name: getattr(whole, name) for name in WHOLE_BLOCKS}
        regions: Sequence[Region | None] = [None] * len(readable)
        if self.crops:
            to_search = [read.to_search for _, read in readable if read.to_search is not None]
            boxes = [best_find(finds).region for finds in self.crops.finder.find(to_search)]
            cut = [
                self.crops.input.prepared(read.data, box)
                for (_, read), box in zip(readable, boxes, strict=True)
            ]
            of_crops = launch(self.backbone, self.crops.input.together(cut)).features()
            features |= {CROP_OF_BLOCK[name]: getattr(of_crops, name) for name in WHOLE_BLOCKS}
            regions = boxes
        wanted = {CLS, *self.classifier.features}
        for row, (photo, _) in enumerate(readable):
            yield _Seen(photo, {name: features[name][row] for name in wanted}, regions[row])

    def _answered(
        self, seen: Sequence[_Seen], weights: npt.NDArray[np.float64] | None, top_k: int
    ) -> Iterator[list[tuple[Photo, Answer]]]:
        """The answers of whole observations."""
        readable = [one for one in seen if not one.error]
        answers: dict[str, Answer] = {}
        likeness: dict[int, npt.NDArray[np.float32]] = {}
        if readable:
            table = FeatureTable(
                image_id=[f"{number}" for number in range(len(readable))],
                observation_id=[one.photo.observation_id for one in readable],
                blocks={
                    name: np.stack([one.vectors[name] for one in readable]) for name in readable[0].vectors
                },
            )
            names, said = observe(self.classifier, self.nearness, table)
            answers = dict(zip(names, self._decided(names, said, weights, top_k), strict=True))
            whitened = self.classifier.neighbours.whitened(table.blocks[CLS])
            likeness = {id(one): vector for one, vector in zip(readable, whitened, strict=True)}
        for name in dict.fromkeys(one.photo.observation_id for one in seen):
            yield [
                (one.photo, self._of_photo(one, answers.get(name), likeness.get(id(one))))
                for one in seen
                if one.photo.observation_id == name
            ]

    def _of_photo(
        self, one: _Seen, answer: Answer | None, whitened: npt.NDArray[np.float32] | None
    ) -> Answer:
        if answer is None or whitened is None:
            return Answer(
                one.photo.path, one.photo.observation_id, "", "unreadable", error=printable(one.error)
            )
        harmless = answer.level in ("species", "genus") and not self._may_be_venomous(answer.answer)
        return replace(
            answer,
            path=one.photo.path,
            look_alikes=self.gallery.look_alikes(whitened, harmless),
            region=one.region,
        )

    def _may_be_venomous(self, name: str) -> bool:
        """Whether a species, or one of a genus, is."""
        return name in self._venomous_names

    @cached_property
    def _venomous_names(self) -> frozenset[str]:
        venomous = np.flatnonzero(self.species.venomous).tolist()
        genera = {self.species.genera[self.species.genus[column]] for column in venomous}
        return frozenset({self.species.names[column] for column in venomous} | genera)

    def _decided(
        self,
        names: Sequence[str],
        said: Observations,
        weights: npt.NDArray[np.float64] | None,
        top_k: int,
    ) -> Iterator[Answer]:
        """An answer for each observation, still without what is the photos' own."""
        familiarity = self.thresholds.familiarity.of(said)
        if weights is not None:
            weighted = said.probabilities * weights
            total = weighted.sum(axis=1, keepdims=True)
            # Where all that is allowed was ruled out before, the weights alone are left.
            weighted = np.where(total > 0, weighted, weights) / np.where(total > 0, total, weights.sum())
            observed = Observed(names, weighted, np.ones(len(names), np.int32))
            answered = np.searchsorted(
                self.class_ids, self.classifier.answers(observed, self.classifier.rule)
            )
            said = Observations(weighted, answered, said.nearness)
        levels = self.thresholds.levels(said, self.species, familiarity)
        inside = self.thresholds.sets(said) & (True if weights is None else weights > 0)
        p_venomous = said.probabilities[:, self.species.venomous].sum(axis=1)
        order = np.argsort(-said.probabilities, axis=1, kind="stable")
        for row, name in enumerate(names):
            answer: str = UNKNOWN
            level: Level = "unknown"
            probability: float | None = None
            if levels.species[row]:
                column = int(said.answered[row])
                answer, level = self.species.names[column], "species"
                probability = float(said.probabilities[row, column])
            elif levels.genus[row]:
                answer, level = self.species.genera[int(levels.genus_column[row])], "genus"
                probability = float(levels.genus_probability[row])
            elif levels.venomous[row]:
                answer, level, probability = VENOMOUS_UNSURE, "venomous_unsure", float(p_venomous[row])
            likeliest = order[row].tolist()
            yield Answer(
                path="",
                observation_id=name,
                answer=answer,
                level=level,
                probability=probability,
                p_venomous=float(p_venomous[row]),
                prediction_set=tuple(self.species.names[one] for one in likeliest if inside[row, one]),
                top_k=tuple(
                    (self.species.names[one], float(said.probabilities[row, one]))
                    for one in likeliest[:top_k]
                ),
            )
