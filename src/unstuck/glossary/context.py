"""What is known of a model's horizon, of places, and of rollouts: facts of probes."""

from unstuck.glossary.entry import Entry

ENTRIES = (
    Entry(
        "horizon/*/height", "px", "rows of the input that one output depends on", "probe horizon"
    ),
    Entry(
        "horizon/*/width", "px", "columns of the input that one output depends on", "probe horizon"
    ),
    Entry(
        "horizon/*/depth", "px", "slices of the input that one output depends on", "probe horizon"
    ),
    Entry(
        "horizon/*/length", "1", "steps of a sequence that one output depends on", "probe horizon"
    ),
    Entry("horizon/*/whole", "", "whether an output depends on all of the canvas", "probe horizon"),
    Entry(
        "horizon/*/share", "1", "share of the canvas that the middle output sees", "probe horizon"
    ),
    Entry("horizon/*/canvas", "px", "longer side of the batch's canvas", "probe horizon"),
    Entry(
        "horizon/*/effective",
        "px",
        "radius that holds 90 % of the middle output's gradient",
        "probe horizon",
    ),
    Entry(
        "horizon/*/border",
        "",
        "what is filled in beyond the border: circular, zero, replicate, reflect or none",
        "probe horizon",
    ),
    Entry(
        "horizon/*/radius", "px", "how far news travel in one step of a rollout", "probe horizon"
    ),
    Entry("horizon/*/steps", "1", "steps of a training rollout", "probe horizon"),
    Entry(
        "keyhole/*/patch", "1", "error on patches over that of the best constant", "probe keyhole"
    ),
    Entry(
        "keyhole/*/full",
        "1",
        "error on the full canvas over that of the best constant",
        "probe keyhole",
    ),
    Entry("keyhole/*/patch_error", "", "loss on the batch's patches", "probe keyhole"),
    Entry("keyhole/*/full_error", "", "loss on the full canvas", "probe keyhole"),
    Entry(
        "keyhole/*/seen",
        "1",
        "side of the field over the longer side of the full canvas",
        "probe keyhole",
    ),
    Entry(
        "position/*/change",
        "1",
        "change of the output, away from the border, where the input is shifted and the output "
        "shifted back; over the output's own scatter",
        "probe position",
    ),
    Entry("position/*/border", "1", "the same near the border", "probe position"),
    Entry("position/*/circular", "1", "the same where the input goes around", "probe position"),
    Entry("position/*/by_one", "1", "the same for a shift of one cell", "probe position"),
    Entry("position/*/kind", "", "equivariant, near the border, or aware", "probe position"),
    Entry(
        "position/*/needed",
        "1",
        "share of the target's variance that the place explains on samples held out, beyond what "
        "the input nearby and the output do",
        "probe position",
    ),
    Entry(
        "position/*/left", "1", "the same as a share of what was left to explain", "probe position"
    ),
    Entry(
        "position/*/input",
        "1",
        "share of the input's variance its place explains",
        "probe position",
    ),
    Entry(
        "fragility/*/built",
        "1",
        "share of the error that a rollout removes: fragility/<model>/built",
        "probe seed-and-damage",
    ),
    Entry(
        "fragility/*/*",
        "1",
        "share of what a rollout builds that is left after a small change of its first state: "
        "fragility/<model>/<change>; worst is the least of them, chance that without any change",
        "probe seed-and-damage",
    ),
    Entry(
        "damage/*/recovery",
        "1",
        "error one rollout after a region was erased over the error before",
        "probe seed-and-damage",
    ),
    Entry(
        "damage/*/*", "1", "what erasing a region costs, and what heals", "probe seed-and-damage"
    ),
    Entry(
        "persistence/*/*",
        "1",
        "error at a multiple of the trained steps over that at their end: persistence/<model>/x4",
        "probe seed-and-damage",
    ),
    Entry(
        "meant/*/lasting",
        "",
        "whether what a rollout builds is meant to last beyond its trained steps",
        "told with unstuck.note",
    ),
)
