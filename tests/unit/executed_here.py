"""An executor that trains in this process: trials of functions that take no time."""

from unstuck.records import Outcome


class Here:
    """Every job is done when it is begun; `at_once` are told of at one look, the `latest` first."""

    def __init__(self, train, metric, places=1, at_once=100, latest=False):
        self.train, self.metric, self.places, self.at_once = train, metric, places, at_once
        self.latest = -1 if latest else 0
        self.waiting, self.started, self.cancelled, self.stopped = [], [], [], False

    def start(self, job):
        assert len(self.waiting) < self.places
        self.started.append((job.arm, job.seed))
        self.waiting.append(job)

    def running(self):
        return list(self.waiting)

    def finished(self):
        count = min(self.at_once, len(self.waiting))
        ended = [self.waiting.pop(self.latest) for _ in range(count)]
        return [Outcome(j.arm, j.seed, self.train(j.recipe, j.seed), seconds=1.0) for j in ended]

    def cancel(self, job):
        self.cancelled.append((job.arm, job.seed))
        self.waiting.remove(job)

    def stop(self):
        self.waiting, self.stopped = [], True
