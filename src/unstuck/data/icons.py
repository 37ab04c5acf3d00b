"""Icons: some 18,000 pictures of four sets with words and categories, from npm packages.

Material Design Icons (@mdi/svg, Apache-2.0), Tabler (@tabler/icons, MIT), Remix (remixicon,
Apache-2.0) and Phosphor (@phosphor-icons/core, MIT), as SVG; an icon that a set has as an outline
and filled is two pictures. Icons without a category are left out. Bootstrap and Lucide state no
categories and are not used. Words are those of the names, aliases and tags, never of a category.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from unstuck.data.package import Package, PackageError, unpacked

SIZE = 64  # px
MDI = Package(
    "npm",
    "@mdi/svg",
    "7.4.47",
    "de92e5dc9ce46c392ab5c53aa7190b19f82b40cb48872a083f788c7e13e91fef",
)
TABLER = Package(
    "npm",
    "@tabler/icons",
    "3.51.0",
    "b30108713d3fa60aee862c2a133225da8e0f309be0708fe2925763ff810c766c",
)
REMIX = Package(
    "npm",
    "remixicon",
    "4.9.1",
    "3a86ff64f3ab3ff9123556adb5fec29d1f41fa19b69d67ec8f7e3aa19724cd18",
)
PHOSPHOR = Package(
    "npm",
    "@phosphor-icons/core",
    "2.1.1",
    "313332be6190b724da24107addd781799b48bf76b13963f24501112ffe1baadd",
)

# The sets name their categories differently; what is the same has one group. A category that says
# nothing of what is drawn ("others", "objects") has none.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "arrows": ("arrow", "arrows"),
    "brands": ("brand / logo", "brand", "logos", "brands", "social media"),
    "food": ("food / drink", "food"),
    "nature": ("weather", "nature", "animal", "animals", "agriculture"),
    "transport": (
        *("automotive", "transportation + road", "transportation + other", "vehicles", "map"),
        *("transportation + flying", "transportation + water", "navigation", "maps & travel"),
        "geographic information system",
    ),
    "places": ("places", "buildings"),
    "communication": ("communication", "communications", "notification", "tooltip"),
    "devices": (
        *("home automation", "cellphone / phone", "battery", "printer", "device / tech", "device"),
        *("devices", "computers", "electrical", "hardware / tools", "laundry"),
    ),
    "media": ("video / movie", "music", "audio", "photography", "media"),
    "documents": ("files / folders", "form", "document", "extensions", "office"),
    "text": (
        *("alpha / numeric", "text / content / format", "edit / modify", "letters", "numbers"),
        *("text", "editor"),
    ),
    "finance": (
        *("banking", "currency", "currencies", "shopping", "e-commerce", "finance", "finances"),
        *("commerce", "business"),
    ),
    "people": (
        *("account / user", "people / family", "user & faces", "people", "mood", "emoji"),
        *("gender", "gestures"),
    ),
    "health": (
        *("medical / hospital", "health / beauty", "health", "health & medical"),
        "health & wellness",
    ),
    "games": ("gaming / rpg", "sport", "games", "game & sports"),
    "development": (
        *("developer / languages", "database", "cloud", "development", "version control"),
        *("logic", "technology & development"),
    ),
    "science": ("math", "science", "charts"),
    "design": ("drawing / art", "vector", "color", "arrange", "design", "shape", "shapes"),
    "time": ("date / time",),
    "security": ("lock", "alert / error"),
    "interface": ("settings", "view", "system", "badges"),
    "symbols": ("holiday", "religion", "zodiac", "symbols"),
}
GROUP_OF = {category: group for group, names in GROUPS.items() for category in names}


class Icon(NamedTuple):
    """One picture of a set."""

    file: Path
    name: str  # "account alert", without what says how it is drawn
    words: str  # aliases and tags
    categories: tuple[str, ...]  # lower case, as the set has them
    groups: tuple[str, ...]  # of these, at least one


@cache
def icons() -> tuple[Icon, ...]:
    """All icons with a group, in a fixed order; fetches packages (8 MB)."""
    found = []
    for file, name, words, categories in (*_mdi(), *_tabler(), *_remix(), *_phosphor()):
        lower = tuple(dict.fromkeys(category.lower() for category in categories))
        groups = tuple(dict.fromkeys(GROUP_OF[c] for c in lower if c in GROUP_OF))
        if groups:
            found.append(Icon(file, name.replace("-", " "), " ".join(words), lower, groups))
    return tuple(found)


Found = Iterator[tuple[Path, str, Iterable[str], Iterable[str]]]


def _mdi() -> Found:
    folder = unpacked(MDI) / "package"
    for entry in json.loads((folder / "meta.json").read_text(encoding="utf-8")):
        name = re.sub("-outline$", "", entry["name"])
        yield folder / "svg" / f"{entry['name']}.svg", name, entry["aliases"], entry["tags"]


def _tabler() -> Found:
    folder = unpacked(TABLER) / "package"
    entries = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
    for style in ("outline", "filled"):
        for name, entry in entries.items():
            if style in entry["styles"]:
                words = [str(tag) for tag in entry["tags"]]
                yield folder / "icons" / style / f"{name}.svg", name, words, [entry["category"]]


def _remix() -> Found:
    for file in sorted((unpacked(REMIX) / "package" / "icons").glob("*/*.svg")):
        yield file, re.sub("-(line|fill)$", "", file.stem), [], [file.parent.name]


def _phosphor() -> Found:
    folder = unpacked(PHOSPHOR) / "package"
    listed = (folder / "dist" / "index.mjs").read_text(encoding="utf-8")
    start, _, entries = listed.partition("const n = [")
    enumeration = re.search(r" e = .*?\(e \|\| \{\}\)", start, re.DOTALL)
    categories = dict(re.findall(r'i\.(\w+) = "([^"]+)"', enumeration[0] if enumeration else ""))
    entry = r'name: "([^"]+)".*?categories: \[(.*?)\].*?tags: \[(.*?)\]'
    read = re.findall(entry, entries, re.DOTALL)
    if not categories or not read:
        raise PackageError(f"{PHOSPHOR.name} {PHOSPHOR.version} does not list its icons as it did")
    for style, suffix in (("regular", ""), ("fill", "-fill")):
        for name, names, tags in read:
            words = [tag for tag in re.findall(r'"([^"]*)"', tags) if not tag.startswith("*")]
            kinds = [categories[key] for key in re.findall(r"e\.(\w+)", names)]
            yield folder / "assets" / style / f"{name}{suffix}.svg", name, words, kinds


def drawn(icon: Icon, size: int = SIZE) -> NDArray[np.uint8]:
    """RGB bytes (size, size, 3), black on white."""
    svg = icon.file.read_text(encoding="utf-8")
    png = resvg_py.svg_to_bytes(
        svg_string=svg, width=size, height=size, background="white", skip_system_fonts=True
    )
    with Image.open(BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB").resize((size, size)))
