"""Connectionist temporal classification by its definition, in float64: every way to lay labels along the frames."""

import itertools

import numpy as np

#: What TensorFlow takes for the probability of a path that begins or ends elsewhere.
ELSEWHERE = float(np.exp(np.float64(np.float32(np.log(1e-307)))))


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def collapsed(path, blank):
    """The labels that a path of classes writes: of equal ones in a row one, without blanks."""
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


def probabilities(logits, blank):
    """{labels: (their probability, (timesteps, classes): the part of it that goes through each class)}, over all paths.

    logits: (timesteps, classes), few of both: there are classes ** timesteps paths.
    """
    p, found = softmax(logits), {}
    timesteps, classes = p.shape
    for path in itertools.product(range(classes), repeat=timesteps):
        share = np.prod([p[t, c] for t, c in enumerate(path)])
        whole, through = found.setdefault(collapsed(path, blank), [0.0, np.zeros((timesteps, classes))])
        found[collapsed(path, blank)][0] = whole + share
        through[np.arange(timesteps), path] += share
    return found


def _moves(labels):
    """(states, states): whether a state may follow another; state 0 is the start, 2 k + 1 the blank behind k labels."""
    states = 2 * len(labels) + 2
    may = np.eye(states) + np.eye(states, k=1)
    for k in range(len(labels)):
        may[2 * k, 2 * k + 2] = k == 0 or labels[k] != labels[k - 1]
    may[0, 0] = 0.0
    return may


def loss_and_gradient(logits, labels, count, frames, blank, exact=False):
    """(loss, gradient of the logits) of one row, by matrices of states, scaled at every frame.

    labels: (longest,) as Keras has them, all of them classes but the blank; count, frames: how many of each count.
    """
    p, elsewhere = softmax(logits), 0.0 if exact else ELSEWHERE
    frames = min(max(frames, 0), len(p))
    may, states = _moves(labels), 2 * len(labels) + 2
    emits = np.array([blank, blank, *np.stack([labels, [blank] * len(labels)], 1).ravel()], int)
    seen = p[:, emits]
    seen[:, 0] = 0.0  # the start emits nothing
    betas = np.full((frames + 1, states), elsewhere)
    if 0 <= count <= len(labels):
        betas[frames, [2 * count, 2 * count + 1]] = 1.0
    log = 0.0
    for t in range(frames - 1, -1, -1):
        betas[t] = may @ (seen[t] * betas[t + 1])
        log += np.log(betas[t].sum())
        betas[t] /= betas[t].sum()
    with np.errstate(divide="ignore"):
        loss = -(np.log(betas[0, 0]) + log)
    gradient, alpha = np.zeros_like(p), np.array([1.0, *[elsewhere] * (states - 1)])
    for t in range(frames):
        alpha = seen[t] * (may.T @ alpha)
        alpha /= alpha.sum()
        share = alpha * betas[t + 1]
        through = np.zeros(p.shape[1])
        with np.errstate(invalid="ignore"):  # no path at all, where `exact`
            np.add.at(through, emits[1:], share[1:] / share.sum())
        gradient[t] = p[t] - through
    return loss, gradient


class _Prefix:
    """Labels, and the logarithms of the probability of all ways to write them, of those that end with a blank and with
    the last label: now and a frame before."""

    def __init__(self, parent, label):
        self.parent, self.label, self.longer = parent, label, {}
        self.total = self.blank = self.labelled = self.was_total = self.was_blank = -np.inf

    def drop(self):
        self.total = self.blank = self.labelled = -np.inf

    def labels(self):
        return () if self.parent is None else (*self.parent.labels(), self.label)


def searched(logits, width, blank):
    """[(labels, logarithm of their probability)], the best first, of a search that keeps `width` prefixes.

    As TensorFlow's: a prefix that was pushed out by the time its parent grows is not grown itself.
    """
    root = _Prefix(None, -1)
    root.total = root.blank = 0.0
    beam = [root]
    for log in np.log(softmax(logits)):
        old, beam = sorted(beam, key=lambda prefix: -prefix.total), []
        for x in old:
            x.was_total, x.was_blank = x.total, x.blank
        for x in old:
            if x.parent is not None:
                if x.parent.total > -np.inf:
                    ways = x.parent.was_blank if x.label == x.parent.label else x.parent.was_total
                    x.labelled = np.logaddexp(x.labelled, ways)
                x.labelled += log[x.label]
            x.blank = x.was_total + log[blank]
            x.total = np.logaddexp(x.blank, x.labelled)
            beam.append(x)
        for x in old:
            _grow(x, log, beam, width, blank)
    return [(x.labels(), x.total) for x in sorted(beam, key=lambda prefix: -prefix.total)]


def _grow(x, log, beam, width, blank):
    def gets_in(total):
        return total > -np.inf and (len(beam) < width or total > min(one.total for one in beam))

    if not gets_in(x.was_total):
        return
    for c in range(len(log)):
        if c == blank:
            continue
        longer = x.longer.setdefault(c, _Prefix(x, c))
        if longer.total > -np.inf:
            continue
        total = log[c] + (x.was_blank if c == x.label else x.was_total)
        if not gets_in(total):
            longer.drop()
            longer.was_total = longer.was_blank = -np.inf
            continue
        longer.total = longer.labelled = total
        if len(beam) == width:
            last = min(beam, key=lambda prefix: prefix.total)
            beam.remove(last)
            last.drop()
        beam.append(longer)
