"""DAT007 wrong-loss-input: a loss is handed probabilities where scores or their logarithms belong.

## Why is this bad?
`cross_entropy` takes a softmax itself. Of probabilities it makes nearly equal ones again: with ten
classes no loss below 1.46 can be reached, and gradients are small where the network is most wrong.
`nll_loss` takes no logarithm: of anything but log-probabilities it can fall without end.

## How it is detected
From the first reading to the last, more than `ALL` of the rows handed to `cross_entropy` or
`kl_div` (`prediction/<function>/probability`) are probabilities: none below zero, sum one. For
`binary_cross_entropy_with_logits` the numbers must be within 0..1 and come straight out of a
sigmoid or a softmax. What `nll_loss` is handed must be log-probabilities: the logarithm of the sum
of its exponentials (`log_mass`) stays above `OFF`.

## Example
>>> from unstuck import Run
>>> def run(function, what, value, made="softmax"):
...     values = value if isinstance(value, list) else [value] * 20
...     return Run.of(facts={f"prediction/{function}/made_by": made},
...                   **{f"prediction__{function}__{what}": values})
>>> [f.message for f in wrong_loss_input(run("cross_entropy", "probability", 1.0))]
['cross_entropy is handed probabilities, 100% of all rows since step 0, where scores belong']
>>> [f.message for f in wrong_loss_input(run("kl_div.2", "probability", 1.0))]
['kl_div.2 is handed probabilities, 100% of all rows since step 0, where their logarithms belong']
>>> [f.message for f in wrong_loss_input(run("nll_loss", "log_mass", 0.7))]
['nll_loss is handed rows whose exponentials sum to e^0.7, no log-probabilities, since step 0']
>>> both = "binary_cross_entropy_with_logits"
>>> [f.where for f in wrong_loss_input(run(both, "probability", 1.0, made="sigmoid"))]
['binary_cross_entropy_with_logits']

## Look-alikes
Scores, some rows of which happen to be probabilities, log-probabilities (in 16 bits, too; and for
`cross_entropy` they are as good as scores), scores within 0..1 that came out of no sigmoid, and
probabilities for a loss that is made for them:

>>> wrong_loss_input(run("cross_entropy", "probability", 0.8))
[]
>>> wrong_loss_input(run("cross_entropy", "probability", [0.2] + [1.0] * 19))
[]
>>> wrong_loss_input(run("nll_loss", "log_mass", 0.4))
[]
>>> wrong_loss_input(run("kl_div", "log_mass", 2.4))
[]
>>> wrong_loss_input(run(both, "probability", 1.0, made="relu"))
[]
>>> wrong_loss_input(run("mse_loss", "probability", 1.0))
[]

## What to try
`use-raw-scores`

## References
- Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs (the softmax
  and its loss belong together), 1990, <https://doi.org/10.1007/978-3-642-76153-9_28>
- Guo, Pleiss, Sun & Weinberger, On Calibration of Modern Neural Networks, 2017 (scores and their
  temperature), <https://arxiv.org/abs/1706.04599>
"""

from collections.abc import Iterator

from unstuck.detector import detector
from unstuck.records import Evidence, Finding, Run, Series, Severity
from unstuck.signals.levels import median
from unstuck.signals.names import shown
from unstuck.signals.spans import finite, last_span_beyond

ALL = 0.99  # share of the rows; of scores 0 to 0.05, of probabilities all (LOG.md)
OFF = 0.5  # log-probabilities 1e-7, in bfloat16 up to 0.03; scores 2.4 at their start (LOG.md)
SIGMOIDS = ("sigmoid", "hardsigmoid", "softmax")


@detector(
    "DAT007",
    needs=("prediction/*/*",),
    explains=("OPT004", "OPT002", "OPT003", "GEN002", "GRD001", "INI001"),
)
def wrong_loss_input(run: Run) -> Iterator[Finding]:
    for series in run.matching("prediction/*/probability"):
        site = series.name.split("/")[1]
        span = _always(series, ALL)
        wanted = _wanted(run, site)
        if span and wanted:
            message = (
                f"{shown(site)} is handed probabilities, {median(series):.0%} of all rows since "
                f"step {span[0]}, where {wanted} belong"
            )
            yield _finding(site, message, Evidence(series, ">", ALL, span), "warning")
    for series in run.matching("prediction/nll_loss*/log_mass"):
        site = series.name.split("/")[1]
        span = _always(series, OFF)
        if span:
            message = (
                f"{shown(site, 24)} is handed rows whose exponentials sum to "
                f"e^{median(series):.2g}, no log-probabilities, since step {span[0]}"
            )
            yield _finding(site, message, Evidence(series, ">", OFF, span), "error")


def _always(series: Series, limit: float) -> tuple[int, int] | None:
    """The whole span of a series that never was below a limit."""
    span = last_span_beyond(finite(series), ">", limit)
    return span if span and span[0] == series.step[0] else None


def _wanted(run: Run, site: str) -> str:
    """What belongs where probabilities are handed in; nothing where they are right."""
    function = site.split(".")[0]
    if function == "cross_entropy":
        return "scores"
    if function == "kl_div":
        return "their logarithms"
    made = run.facts.get(f"prediction/{site}/made_by")
    with_logits = function == "binary_cross_entropy_with_logits"
    return "scores" if with_logits and made in SIGMOIDS else ""


def _finding(site: str, message: str, evidence: Evidence, severity: Severity) -> Finding:
    return Finding("DAT007", where=site, message=message, evidence=(evidence,), severity=severity)
