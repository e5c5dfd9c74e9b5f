"""Training by PyTorch alone: its modules, time first, and RMSprop over all weights at once."""

from functools import partial

import numpy as np
from engines_torch import recurrent_module
from training_cells import EPSILON, RATE, RHO
from training_tools import Way, timed_epochs
from user_layers import USERS


def _time_first(array, time):
    return np.ascontiguousarray(array.swapaxes(0, 1)) if time else array


class Network:
    """The task's model in PyTorch. `parameters` are those that Keras has: an LSTM's second bias stays at zero.

    faster: a user's own layer is compiled, or scripted.
    """

    def __init__(self, torch, task, dtype, faster=False):
        self.torch, self.parameters, self._parts = torch, [], []
        for step, weights in zip(task.cell.steps, task.cell.weights()):
            if step.kind in USERS:
                import users_torch

                part = users_torch.MODULES[step.kind](*map(torch.tensor, weights)).to(dtype)
                own = list(part.parameters())
                part = users_torch.FASTER[step.kind](part) if faster else part
            elif step.recurrent:
                module = recurrent_module(torch, step, weights).to(dtype)
                for name, parameter in module.named_parameters():
                    if step.kind != "GRU" and name.startswith("bias_hh"):
                        parameter.requires_grad_(False)
                own = [parameter for parameter in module.parameters() if parameter.requires_grad]
                part = partial(self._recurrent, module, step.sequences)
            else:
                # Linear wants (units, inputs).
                weights = [weights[0].T, weights[1]] if step.kind == "Dense" else weights
                own = [torch.tensor(np.ascontiguousarray(w), dtype=dtype, requires_grad=True) for w in weights]
                part = self._linear if step.kind == "Dense" else torch.nn.functional.embedding
                part = partial(self._call, part, own)
            self.parameters += own
            self._parts.append(part)

    @staticmethod
    def _recurrent(module, sequences, x):
        y = module(x)[0]
        return y if sequences else y[-1]

    def _linear(self, x, weight, bias):
        return self.torch.nn.functional.linear(x, weight, bias)

    @staticmethod
    def _call(function, own, x):
        return function(x, *own)

    def __call__(self, x):
        """Of x (T, B, I) the output (T, B, units) or (B, units) before its softmax or sigmoid."""
        for part in self._parts:
            x = part(x)
        return x


class RMSprop:
    """Keras's: epsilon under the root, where torch.optim.RMSprop adds it to the root.

    In five calls: 0.56 ms a step of LSTM (1, 100, 64, 64), so 0.61 with torch.optim.
    """

    def __init__(self, torch, parameters):
        self._torch, self._parameters, self._squares = torch, parameters, None

    def step(self):
        torch = self._torch
        gradients = [parameter.grad for parameter in self._parameters]
        with torch.no_grad():
            if self._squares is None:
                self._squares = [torch.zeros_like(parameter) for parameter in self._parameters]
            torch._foreach_mul_(self._squares, RHO)
            torch._foreach_addcmul_(self._squares, gradients, gradients, 1 - RHO)
            roots = torch._foreach_add(self._squares, EPSILON)
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(self._parameters, gradients, roots, -RATE)
        for parameter in self._parameters:
            parameter.grad = None


def _loss_function(torch, task):
    """The task's loss of (output before its activation, labels); class numbers stand for one-hot labels."""
    functional = torch.nn.functional
    if task.loss == "mse":
        return functional.mse_loss
    if task.loss == "binary_crossentropy":
        return functional.binary_cross_entropy_with_logits
    return lambda y, classes: functional.cross_entropy(y.flatten(0, -2), classes.flatten())


def _tensors(torch, task, dtype):
    x, y = task.data()
    recurrent = task.cell.recurrent
    x = torch.tensor(_time_first(x, recurrent))
    x = x if task.cell.ids else x.to(dtype)
    if task.loss == "categorical_crossentropy":
        return x, torch.tensor(_time_first(y.argmax(-1), recurrent and y.ndim == 3))
    return x, torch.tensor(_time_first(y, recurrent and y.ndim == 3), dtype=dtype)


def _way(torch, task, dtype, faster):
    """The way of a task of steps, or of epochs; see Network for `faster`."""
    network = Network(torch, task, dtype, faster)
    optimizer, loss_of = RMSprop(torch, network.parameters), _loss_function(torch, task)
    x, y = _tensors(torch, task, dtype)

    def step():
        loss = loss_of(network(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def run(n):
        for _ in range(n):
            step()

    if not task.samples:
        return Way(losses=lambda n: [float(step().detach()) for _ in range(n)], run=run)
    axis = int(y.ndim == 2)  # of the rows in y

    def epoch(order):
        """The mean loss; the accuracy is counted as `fit` does."""
        total, right = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
        for rows in task.batches(order):
            labels, predicted = y.index_select(axis, rows), network(x.index_select(1, rows))
            loss = loss_of(predicted, labels)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                total += loss.detach() * len(rows)
                right += (predicted.argmax(-1) == labels).sum()
        return float(total) / task.samples, float(right) / y.numel()

    return Way(
        losses=lambda n: [epoch(torch.arange(task.samples))[0] for _ in range(n)],
        epochs=lambda n: timed_epochs(lambda: epoch(torch.randperm(task.samples)), n),
    )


def torch_engine(threads, precise=False):
    """precise: in float64, for reference."""
    import torch

    dtype = torch.float64 if precise else torch.float32

    def on(count, task, faster=False):
        """The way on so many threads; another way may have set another number."""

        def held(function):
            def call(n):
                torch.set_num_threads(count)
                return function(n)

            return function and call

        torch.set_num_threads(count)
        way = _way(torch, task, dtype, faster)
        return Way(losses=held(way.losses), run=held(way.run), epochs=held(way.epochs))

    # Small steps are faster on one thread, which fastseq chooses by itself.
    counts = [threads] if precise or threads == 1 else [threads, 1]

    def prepare(task):
        own = any(step.kind in USERS for step in task.cell.steps) and not precise
        return [partial(on, count, task, faster) for faster in (False, True)[: 1 + own] for count in counts]

    return prepare
