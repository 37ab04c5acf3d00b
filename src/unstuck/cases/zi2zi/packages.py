"""Fonts by name, out of Debian packages: fetched once, checked, unpacked in unstuck's cache.

Licences are those that the packages state: all allow use, change and passing on. What is drawn with
a font is no font, and may be used as one likes. A font made from what was drawn is another matter:
names that the owners have reserved ("LXGW") may not be those of a derived font.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from unstuck.data.package import Package, PackageError, unpacked

FONTS = Path("usr/share/fonts")
NOTO = Package(
    "debian",
    "fonts-noto-cjk",
    "1:20220127+repack1-1",
    "4a2515eb6db3978b897fef9709ed0d2b1f4c6c4df4d83d6c4ef65f71f1b1f502",
)
WENKAI = Package(
    "debian",
    "fonts-lxgw-wenkai",
    "1.250+repack-1",
    "6d1e4c4aac78ad32062aefa2c836ee4d6e58f9dcf8b3f4407c9eefe304615318",
)
TW_SUNG = Package(
    "debian",
    "fonts-cns11643-sung",
    "103.1+20181001-1",
    "e8a9410078063f38132b79df00196ca3108bcb90ab6bb0b00afd629eba1044c0",
)
WQY = Package(
    "debian",
    "fonts-wqy-microhei",
    "0.2.0-beta-3.1",
    "239163df984eea5c9da3b551aee374936222cdbd67f1a1be3cdcf3d76143ad66",
)
TW_KAI = Package(
    "debian",
    "fonts-cns11643-kai",
    "103.1+20181001-1",
    "c8c92e76357c0980b50d80d83674a5109a11624df83b9994c9118ad3aec31ece",
)
SETO = Package(
    "debian",
    "fonts-seto",
    "6.20-8",
    "1ce0b6124d635036d64462d7f0bece68d79608713a51d0664d4aa03da882fe2c",
)
KOUZAN = Package(
    "debian",
    "fonts-kouzan-mouhitsu",
    "20170411-3",
    "924536ceff9359b99996e56cd24633df67d696a343ba46f9e3106e8cee228dbe",
)
SMILEY = Package(
    "debian",
    "fonts-smiley-sans",
    "1.1.1-1",
    "ee62aac9a4b1dc3a5b414946fbcba5480dc557fe8ac0368342bcb9403e0f5156",
)
OFL, PUBLIC = "OFL-1.1", "public domain"


class Font(NamedTuple):
    """A face of a font file of a package."""

    package: Package
    file: str  # under FONTS
    face: int
    licence: str


NAMES: Mapping[str, Font] = {
    "noto-sans-sc": Font(NOTO, "opentype/noto/NotoSansCJK-Regular.ttc", 2, OFL),
    "noto-sans-tc": Font(NOTO, "opentype/noto/NotoSansCJK-Regular.ttc", 3, OFL),
    "noto-sans-jp": Font(NOTO, "opentype/noto/NotoSansCJK-Regular.ttc", 0, OFL),
    "noto-sans-sc-bold": Font(NOTO, "opentype/noto/NotoSansCJK-Bold.ttc", 2, OFL),
    "noto-serif-sc": Font(NOTO, "opentype/noto/NotoSerifCJK-Regular.ttc", 2, OFL),
    "lxgw-wenkai": Font(WENKAI, "truetype/lxgw-wenkai/LXGWWenKai-Regular.ttf", 0, OFL),
    "lxgw-wenkai-light": Font(WENKAI, "truetype/lxgw-wenkai/LXGWWenKai-Light.ttf", 0, OFL),
    "lxgw-wenkai-bold": Font(WENKAI, "truetype/lxgw-wenkai/LXGWWenKai-Bold.ttf", 0, OFL),
    "wqy-microhei": Font(WQY, "truetype/wqy/wqy-microhei.ttc", 0, "Apache-2.0"),
    "tw-sung": Font(TW_SUNG, "truetype/cns11643/TW-Sung-98_1.ttf", 0, "OGDL-TW-1.0"),
    "tw-kai": Font(TW_KAI, "truetype/cns11643/TW-Kai-98_1.ttf", 0, "OGDL-TW-1.0"),
    "seto": Font(SETO, "truetype/seto/setofont.ttf", 0, OFL),
    "kouzan": Font(KOUZAN, "truetype/kouzan-mouhitsu/kouzan-mouhitsu.ttf", 0, PUBLIC),
    "kouzan-gyosho": Font(KOUZAN, "truetype/kouzan-mouhitsu/kouzan-mouhitsu-gyosho.ttf", 0, PUBLIC),
    "smiley-sans": Font(SMILEY, "truetype/smiley-sans/SmileySans-Oblique.ttf", 0, OFL),
}


def file(name: str) -> Path:
    """The file of a named font, whose package is fetched where it is not there; PackageError."""
    font = NAMES[name]
    found = unpacked(font.package) / FONTS / font.file
    if not found.is_file():
        raise PackageError(f"{font.package.name} {font.package.version} has no {font.file} in it")
    return found
