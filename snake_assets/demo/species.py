"""The demo's species: invented names and looks; a harmless one may look much like a venomous one."""

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """What a species looks like.

    Attributes:
        pattern: one of `photo.PATTERNS`.
        colours: of the skin, of the markings and of their rims, sRGB bytes.
        repeats: of the pattern along the body.
        girth: the largest width over the length.
        grounds: of `photo.GROUNDS`, where most of its photos are taken.
        wide_head: whether the head is a triangle wider than the neck, as a viper's is.
    """

    pattern: str
    colours: tuple[Colour, Colour, Colour]
    repeats: float
    girth: float
    grounds: tuple[str, ...]
    wide_head: bool = False


@dataclass(frozen=True)
class DemoSpecies:
    """One demo species; `train_observations` is its class size, from which val and test follow."""

    binomial_name: str
    class_id: int
    venomous: bool
    codes: tuple[str, ...]
    train_observations: int
    look: Look
    endemic: bool = False

    @property
    def folder(self) -> str:
        """The name of the species' photo folder, Genus_species."""
        return self.binomial_name.replace(" ", "_")


# fmt: off
DEMO_SPECIES = (
    DemoSpecies("Chartophis granulatus", 37, False, ("IN", "LK"), 20, Look(
        "speckles", ((70, 84, 58), (226, 214, 120), (38, 46, 36)), 40, 0.036, ("gravel", "grass"))),
    # Looks like Pictelaps nocturnus.
    DemoSpecies("Chartophis pallifasciatus", 112, False, ("IN",), 12, Look(
        "bands", ((92, 66, 50), (222, 205, 170), (64, 44, 34)), 15, 0.036, ("wood", "litter"))),
    # Looks like Fabulaspis origami.
    DemoSpecies("Chartophis pseudaspis", 290, False, ("ZA", "NA"), 15, Look(
        "blotches", ((206, 178, 132), (128, 84, 50), (84, 52, 34)), 19, 0.046, ("sand", "gravel"))),
    DemoSpecies("Chartophis reticulum", 341, False, ("ID", "PH"), 24, Look(
        "net", ((176, 150, 92), (40, 34, 28), (214, 184, 62)), 13, 0.052, ("litter", "grass"))),
    DemoSpecies("Crayonophis tricolineatus", 478, False, ("US", "CA"), 34, Look(
        "stripes", ((50, 50, 44), (236, 200, 76), (120, 60, 40)), 30, 0.032, ("grass", "litter"))),
    # Looks like Fabulaspis smaragdina.
    DemoSpecies("Crayonophis virens", 555, False, ("US", "MX"), 18, Look(
        "plain", ((104, 190, 66), (226, 236, 150), (70, 150, 50)), 30, 0.026, ("grass", "wood"))),
    DemoSpecies("Fabulaspis fulminata", 702, True, ("DE", "FR", "PL"), 22, Look(
        "zigzag", ((158, 152, 142), (44, 38, 36), (196, 190, 178)), 17, 0.058, ("gravel", "litter"), True)),
    DemoSpecies("Fabulaspis origami", 841, True, ("US", "MX"), 26, Look(
        "diamonds", ((190, 158, 116), (96, 68, 50), (238, 224, 190)), 16, 0.066, ("sand", "gravel"), True)),
    DemoSpecies("Fabulaspis smaragdina", 958, True, ("TH", "VN"), 10, Look(
        "sideline", ((38, 140, 70), (244, 244, 226), (176, 52, 40)), 30, 0.044, ("grass", "wood"), True)),
    DemoSpecies("Fictophis aurantius", 1103, False, ("US",), 28, Look(
        "blotches", ((222, 142, 76), (176, 50, 30), (40, 24, 20)), 17, 0.040, ("wood", "litter"))),
    # Looks like Fabulaspis fulminata.
    DemoSpecies("Fictophis mendax", 1267, False, ("FR", "ES"), 9, Look(
        "zigzag", ((142, 112, 74), (74, 52, 36), (206, 182, 124)), 21, 0.042, ("gravel", "grass"))),
    # Looks like Pictelaps coloratus.
    DemoSpecies("Fictophis simulans", 1402, False, ("US", "MX"), 14, Look(
        "rings", ((206, 44, 34), (244, 232, 190), (24, 22, 24)), 13, 0.036, ("litter", "sand"))),
    DemoSpecies("Pictelaps coloratus", 1588, True, ("BR", "CO"), 7, Look(
        "rings", ((196, 34, 40), (20, 18, 22), (246, 210, 56)), 11, 0.034, ("litter", "wood"))),
    DemoSpecies("Pictelaps nocturnus", 1746, True, ("AU",), 3, Look(
        "bands", ((30, 32, 42), (236, 238, 240), (18, 18, 24)), 24, 0.034, ("sand", "litter")), endemic=True),
)
# fmt: on

# Listed in the venom list though no photo shows them, as some species of the official list are.
PHOTOLESS_CLASSES = {4: False, 203: True, 667: False, 1021: False, 1333: True, 1690: False}
