"""What is known of the ways through a model: facts of probes."""

from unstuck.glossary.entry import Entry

ENTRIES = (
    Entry(
        "reliance/*/skips",
        "1",
        "error with the skips zeroed over the error intact: reliance/<path>/skips",
        "probe path-reliance",
    ),
    Entry(
        "reliance/*/bottleneck",
        "1",
        "error with another sample's bottleneck over the error intact: reliance/<path>/bottleneck",
        "probe path-reliance",
    ),
    Entry(
        "reliance/*/leak",
        "1",
        "error with only what is known at use over the error measured in training, where "
        "training sees features of the answer: reliance/<path>/leak",
        "probe path-reliance",
    ),
    Entry(
        "skips/*",
        "1",
        "skip connections in one call of a model: skips/<model>; skips/<model>/around: of those, "
        "the ones around a lower resolution",
        "probe path-reliance",
    ),
    Entry(
        "echo/*/identity",
        "1",
        "distance of output and input over that of answer and input: echo/<model>/identity",
        "probe echo",
    ),
    Entry(
        "echo/*/asked",
        "1",
        "distance of answer and input over the answer's standard deviation: echo/<model>/asked",
        "probe echo",
    ),
    Entry(
        "echo/*/noise",
        "1",
        "share of fresh noise in the input that comes out again: echo/<model>/noise",
        "probe echo",
    ),
    Entry("echo/*/steps", "1", "updates made before the probe: echo/<model>/steps", "probe echo"),
)
