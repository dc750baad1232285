"""The demo's species: invented names, invented looks, and which harmless one imitates which venomous one."""

from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]
Pattern = Literal[
    "rings", "bands", "blotches", "diamonds", "zigzag", "stripes", "plain", "sideline", "speckles", "net"
]
Head = Literal["oval", "triangular"]
Ground = Literal["litter", "sand", "grass", "gravel", "rock", "road", "wood"]


@dataclass(frozen=True)
class Look:
    """What a species looks like; colours are sRGB bytes, `girth` is the largest width over the length."""

    pattern: Pattern
    colours: tuple[Colour, ...]
    head_colour: Colour
    repeats: float
    girth: float
    head: Head
    length_m: float
    gloss: float
    grounds: tuple[Ground, ...]


@dataclass(frozen=True)
class DemoSpecies:
    """One demo species; `train_observations` is its class size, from which val and test follow."""

    binomial_name: str
    class_id: int
    venomous: bool
    codes: tuple[str, ...]
    endemic: bool
    train_observations: int
    look: Look
    imitates: str | None = None

    @property
    def folder(self) -> str:
        """The name of the species' photo folder, Genus_species."""
        return self.binomial_name.replace(" ", "_")


DEMO_SPECIES: tuple[DemoSpecies, ...] = (
    DemoSpecies(
        "Chartophis granulatus",
        37,
        False,
        ("IN", "LK"),
        False,
        20,
        Look(
            "speckles",
            ((70, 84, 58), (226, 214, 120), (38, 46, 36)),
            (82, 92, 60),
            40,
            0.036,
            "oval",
            1.4,
            0.25,
            ("gravel", "grass", "rock"),
        ),
    ),
    DemoSpecies(
        "Chartophis pallifasciatus",
        112,
        False,
        ("IN",),
        False,
        12,
        Look(
            "bands",
            ((92, 66, 50), (222, 205, 170), (64, 44, 34)),
            (98, 72, 54),
            15,
            0.036,
            "oval",
            1.1,
            0.3,
            ("wood", "litter", "road"),
        ),
        imitates="Pictelaps nocturnus",
    ),
    DemoSpecies(
        "Chartophis pseudaspis",
        290,
        False,
        ("ZA", "NA"),
        False,
        15,
        Look(
            "blotches",
            ((206, 178, 132), (128, 84, 50), (84, 52, 34)),
            (186, 152, 108),
            19,
            0.046,
            "oval",
            1.0,
            0.05,
            ("sand", "gravel", "rock"),
        ),
        imitates="Fabulaspis origami",
    ),
    DemoSpecies(
        "Chartophis reticulum",
        341,
        False,
        ("ID", "PH"),
        False,
        24,
        Look(
            "net",
            ((176, 150, 92), (40, 34, 28), (214, 184, 62)),
            (170, 142, 88),
            13,
            0.052,
            "oval",
            4.5,
            0.45,
            ("litter", "grass", "wood"),
        ),
    ),
    DemoSpecies(
        "Crayonophis tricolineatus",
        478,
        False,
        ("US", "CA"),
        False,
        34,
        Look(
            "stripes",
            ((50, 50, 44), (236, 200, 76), (120, 60, 40)),
            (60, 58, 48),
            30,
            0.032,
            "oval",
            0.9,
            0.2,
            ("grass", "litter", "gravel"),
        ),
    ),
    DemoSpecies(
        "Crayonophis virens",
        555,
        False,
        ("US", "MX"),
        False,
        18,
        Look(
            "plain",
            ((104, 190, 66), (226, 236, 150), (70, 150, 50)),
            (112, 196, 70),
            30,
            0.026,
            "oval",
            0.8,
            0.3,
            ("grass", "wood", "litter"),
        ),
        imitates="Fabulaspis smaragdina",
    ),
    DemoSpecies(
        "Fabulaspis fulminata",
        702,
        True,
        ("DE", "FR", "PL"),
        False,
        22,
        Look(
            "zigzag",
            ((158, 152, 142), (44, 38, 36), (196, 190, 178)),
            (146, 140, 130),
            17,
            0.058,
            "triangular",
            0.6,
            0.0,
            ("rock", "litter", "grass"),
        ),
    ),
    DemoSpecies(
        "Fabulaspis origami",
        841,
        True,
        ("US", "MX"),
        False,
        26,
        Look(
            "diamonds",
            ((190, 158, 116), (96, 68, 50), (238, 224, 190)),
            (168, 136, 100),
            16,
            0.066,
            "triangular",
            1.2,
            0.0,
            ("sand", "gravel", "rock"),
        ),
    ),
    DemoSpecies(
        "Fabulaspis smaragdina",
        958,
        True,
        ("TH", "VN"),
        False,
        10,
        Look(
            "sideline",
            ((38, 140, 70), (244, 244, 226), (176, 52, 40)),
            (44, 148, 72),
            30,
            0.044,
            "triangular",
            0.7,
            0.1,
            ("grass", "wood", "litter"),
        ),
    ),
    DemoSpecies(
        "Fictophis aurantius",
        1103,
        False,
        ("US",),
        False,
        28,
        Look(
            "blotches",
            ((222, 142, 76), (176, 50, 30), (40, 24, 20)),
            (214, 126, 66),
            17,
            0.040,
            "oval",
            1.3,
            0.3,
            ("wood", "road", "litter"),
        ),
    ),
    DemoSpecies(
        "Fictophis mendax",
        1267,
        False,
        ("FR", "ES"),
        False,
        9,
        Look(
            "zigzag",
            ((142, 112, 74), (74, 52, 36), (206, 182, 124)),
            (134, 104, 68),
            21,
            0.042,
            "oval",
            0.7,
            0.15,
            ("gravel", "grass", "rock"),
        ),
        imitates="Fabulaspis fulminata",
    ),
    DemoSpecies(
        "Fictophis simulans",
        1402,
        False,
        ("US", "MX"),
        False,
        14,
        Look(
            "rings",
            ((206, 44, 34), (24, 22, 24), (244, 232, 190), (24, 22, 24)),
            (190, 40, 32),
            13,
            0.036,
            "oval",
            0.8,
            0.5,
            ("litter", "sand", "wood"),
        ),
        imitates="Pictelaps coloratus",
    ),
    DemoSpecies(
        "Pictelaps coloratus",
        1588,
        True,
        ("BR", "CO"),
        False,
        7,
        Look(
            "rings",
            ((196, 34, 40), (246, 210, 56), (20, 18, 22), (246, 210, 56)),
            (20, 18, 22),
            11,
            0.034,
            "oval",
            0.8,
            0.6,
            ("litter", "road", "wood"),
        ),
    ),
    DemoSpecies(
        "Pictelaps nocturnus",
        1746,
        True,
        ("AU",),
        True,
        3,
        Look(
            "bands",
            ((30, 32, 42), (236, 238, 240), (18, 18, 24)),
            (26, 28, 38),
            24,
            0.034,
            "oval",
            1.2,
            0.6,
            ("road", "sand", "litter"),
        ),
    ),
)

# Listed in the venom list though no photo shows them, as some species of the official list are.
PHOTOLESS_CLASSES: tuple[tuple[int, bool], ...] = (
    (4, False),
    (203, True),
    (667, False),
    (1021, False),
    (1333, True),
    (1690, False),
)
