"""A dozen emoji with transparency at 128 px, made by scripts/make_nca_sample.py.

Noto Color Emoji, (c) 2022 Google Inc., under the SIL Open Font License 1.1,
<https://openfontlicense.org>. See LICENCE.txt.
"""

from pathlib import Path

from PIL import Image

FILE = Path(__file__).with_name("emoji.png")  # side by side, in the order of NAMES
SIDE = 128  # px
EMOJI = {
    "lizard": "\N{LIZARD}",
    "butterfly": "\N{BUTTERFLY}",
    "fish": "\N{TROPICAL FISH}",
    "sunflower": "\N{SUNFLOWER}",
    "mushroom": "\N{MUSHROOM}",
    "earth": "\N{EARTH GLOBE EUROPE-AFRICA}",
    "ladybird": "\N{LADY BEETLE}",
    "pumpkin": "\N{JACK-O-LANTERN}",
    "watermelon": "\N{WATERMELON}",
    "rainbow": "\N{RAINBOW}",
    "octopus": "\N{OCTOPUS}",
    "bicycle": "\N{BICYCLE}",
}
NAMES = tuple(EMOJI)


def picture(name: str) -> Image.Image:
    """One of them (RGBA), cut to what is not empty."""
    place = NAMES.index(name)
    with Image.open(FILE) as sheet:
        found = sheet.convert("RGBA").crop((place * SIDE, 0, (place + 1) * SIDE, SIDE))
    box = found.getchannel("A").getbbox()
    return found.crop(box) if box else found
