"""Make the emoji embedded in `cases/nca/sample/` from the font they are of.

python scripts/make_nca_sample.py
"""

import io

from fontTools.ttLib import TTFont
from PIL import Image

from unstuck.cases.nca import sample
from unstuck.data.package import Package, unpacked

FONT = Package(
    "debian",
    "fonts-noto-color-emoji",
    "2.042-0+deb12u1",
    "a5ab0f69c7938423862320d9aca5dd187b3fd879d6a9a57dd52e17c3fa8d2751",
)
FILE = "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"


def main() -> None:
    font = TTFont(unpacked(FONT) / FILE)
    glyphs, pictures = font.getBestCmap(), font["CBDT"].strikeData[0]
    sheet = Image.new("RGBA", (sample.SIDE * len(sample.NAMES), sample.SIDE))
    for place, emoji in enumerate(sample.EMOJI.values()):
        drawn = Image.open(io.BytesIO(pictures[glyphs[ord(emoji)]].imageData)).convert("RGBA")
        drawn.thumbnail((sample.SIDE, sample.SIDE), Image.Resampling.LANCZOS)
        top = (sample.SIDE - drawn.height) // 2
        sheet.paste(drawn, (place * sample.SIDE, top))
    sheet.save(sample.FILE, optimize=True)
    print(f"{len(sample.NAMES)} emoji, {sample.FILE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
