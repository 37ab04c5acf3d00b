"""label_smoothing/cross_entropy: every cross entropy under recorded gradients gets it.

As `F.cross_entropy(scores, target, label_smoothing=...)`, which `nn.CrossEntropyLoss` calls: of
targets that are probabilities torch mixes in the same uniform share. What the script set itself is
replaced; evaluation without gradients is left alone, and the loss as the script wrote it is
recorded beside the smoothed one, so that two runs can be compared by it.

Reference: Szegedy et al. 2016, section 7, <https://arxiv.org/abs/1512.00567>
"""

from unstuck.watcher.altered_calls import Arguments, replaced
from unstuck.watcher.intervention import Intervention

PLACE = 7  # of label_smoothing among the arguments of cross_entropy


class LabelSmoothing(Intervention):
    kind = "label_smoothing"

    def start(self) -> None:
        self.all.calls.alter(["cross_entropy"], self._smoothed, rewrites=True)

    def _smoothed(self, function: str, given: Arguments) -> Arguments:
        self.applied()
        return replaced(given, PLACE, "label_smoothing", self.change.value)
