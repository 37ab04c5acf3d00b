"""SVG as text: elements, and the frame of a plot. Colours come from the page's style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from unstuck.report.scale import Scale


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """One element; text is escaped, `class_` and `stroke_width` become `class`, `stroke-width`."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup(f"<{name}{told}>{inside}</{name}>" if children else f"<{name}{told}/>")


def _short(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def text(x: float, y: float, label: str, class_: str = "tick", anchor: str = "start") -> Markup:
    return tag("text", label, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return tag(
        "rect", x=float(x), y=float(y), width=float(width), height=float(height), class_=class_
    )


def dot(x: float, y: float, class_: str, radius: float = 3.5) -> Markup:
    return tag("circle", cx=float(x), cy=float(y), r=radius, class_=class_)


def path(xs: Sequence[float], ys: Sequence[float], class_: str) -> Markup:
    """A line through the points; a single point becomes a short stroke, which round caps show."""
    points = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True)]
    if len(points) == 1:
        points *= 2
    return tag("path", d="M" + "L".join(points), class_=class_)


def between(x: float, low: float, high: float) -> float:
    """`x`, kept so far from the edges that a label centred on it fits."""
    return min(max(x, low), high)


def drawing(
    width: float, height: float, title: str, about: str, *parts: str, **attributes: object
) -> Markup:
    """The whole picture with its name and description for those who cannot see it."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", about),
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        aria_label=f"{title}. {about}",
        **attributes,
    )


def axes(xs: Scale, ys: Scale) -> dict[str, str]:
    """The scales as attributes of a drawing, so that a page can tell what lies under a pointer."""
    return {
        f"data_{axis}": f"{s.start:.1f} {s.end:.1f} {s.low:.9g} {s.high:.9g} {int(s.log)}"
        for axis, s in (("x", xs), ("y", ys))
    }


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle inside the axes, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def beside(self, scale: Scale, most: int) -> "Frame":
        """The same frame with room on its left for the labels of the vertical axis."""
        return replace(self, left=max(self.left, scale.label_width(most) + 14))

    def grid(self, scale: Scale, most: int) -> list[Markup]:
        """Horizontal grid lines with the labels of the vertical axis."""
        parts = []
        for y, label in scale.ticks(most):
            parts.append(line(self.left, y, self.right, y, "grid"))
            parts.append(text(self.left - 8, y + 4, label, anchor="end"))
        return parts

    def steps(self, scale: Scale, label: str, most: int, whole: bool = True) -> list[Markup]:
        """The horizontal axis with ticks and its name."""
        parts = [line(self.left, self.bottom, self.right, self.bottom, "axis")]
        for x, tick in scale.spaced_ticks(most, whole):
            parts.append(line(x, self.bottom, x, self.bottom + 4, "axis"))
            parts.append(text(x, self.bottom + 17, tick, anchor="middle"))
        middle = (self.left + self.right) / 2
        parts.append(text(middle, self.bottom + 34, label, "label", "middle"))
        return parts
