"""PyTorch: modules of torch.nn with the cell's weights, time first, which is the layout its recurrent code works in."""

from functools import partial

import convolutions
import numpy as np
from cells import EPSILON
from engine_tools import Unsupported, fastest


def reordered(kind, weight):
    """Keras's gates z r h are r z n in PyTorch; i f c o are the same."""
    if kind != "GRU":
        return weight
    z, r, h = np.split(weight, 3, axis=-1)
    return np.concatenate([r, z, h], axis=-1)


def recurrent_module(torch, step, weights):
    """The module of torch.nn with these weights, which Keras's layer has."""
    kinds = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "SimpleRNN": torch.nn.RNN}
    if step.kind not in kinds or (step.bidirectional and not step.sequences):
        raise Unsupported
    module = kinds[step.kind](weights[0].shape[0], step.units, bidirectional=step.bidirectional)
    for i, suffix in enumerate(["", "_reverse"][: 1 + step.bidirectional]):
        kernel, recurrent, bias = weights[3 * i : 3 * i + 3]
        given, inner = bias if step.kind == "GRU" else (bias, np.zeros_like(bias))
        arrays = {
            "weight_ih": reordered(step.kind, kernel).T, "weight_hh": reordered(step.kind, recurrent).T,
            "bias_ih": reordered(step.kind, given), "bias_hh": reordered(step.kind, inner),
        }  # fmt: skip
        for name, array in arrays.items():
            getattr(module, f"{name}_l0{suffix}").data = torch.tensor(np.ascontiguousarray(array))
    module.flatten_parameters()
    return module


def _recurrent(torch, step, weights):
    """A function (T, B, I) -> (T, B, units), or (B, units) of the last step. `packed` inputs go through as they are."""
    module = recurrent_module(torch, step, weights)
    if step.sequences:
        return lambda x: module(x)[0]
    return lambda x: module(x)[0][-1]


def step_module(torch, step, weights):
    """A function of the step's values, time first."""
    arrays = [torch.tensor(w) for w in weights]
    if step.recurrent:
        return _recurrent(torch, step, weights)
    if step.kind == "Dense":
        linear = torch.nn.Linear(*weights[0].shape)
        linear.weight.data, linear.bias.data = arrays[0].T.contiguous(), arrays[1]
        activation = {"softmax": partial(torch.softmax, dim=-1), "sigmoid": torch.sigmoid}.get(step.activation)
        return (lambda x: activation(linear(x))) if activation else linear
    if step.kind in convolutions.KINDS:
        return convolutions.torch_step(torch, step, *weights)
    if step.kind == "Embedding":
        return lambda x: torch.nn.functional.embedding(x, arrays[0])
    if step.kind == "RepeatVector":
        return lambda x: x.expand(step.units, *x.shape)
    if step.kind == "Concatenate":
        return lambda *values: torch.cat(values, -1)

    if step.kind == "BatchNormalization":
        gamma, beta, mean, variance = arrays

        def batch_norm(x):
            rows = x.reshape(-1, x.shape[-1])
            return torch.nn.functional.batch_norm(rows, mean, variance, gamma, beta, eps=EPSILON).reshape(x.shape)

        return batch_norm
    if step.kind in ("InstantNorm", "LayerNormalization"):
        return lambda x: torch.nn.functional.layer_norm(x, arrays[0].shape, *arrays, EPSILON)
    if step.kind == "MultiHeadAttention":
        import users_torch

        return users_torch.SelfAttention(step.causal, *arrays)
    if step.kind != "Attention":
        raise Unsupported

    def attention(x):
        logits = x @ arrays[0]  # (T, B, 1)
        shares = torch.exp(logits - logits.amax(0, keepdim=True))
        shares = shares / (shares.sum(0, keepdim=True) + 1e-7)
        return (x * shares).sum(0)

    return attention


def _time_first(x):
    return np.ascontiguousarray(x.swapaxes(0, 1))


def torch_engine(threads):
    import torch

    torch.set_num_threads(threads)
    pack, unpack = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence

    def prepare(cell):
        if cell.masked == "left":
            raise Unsupported
        if cell.has("OwnLSTM"):
            import users_torch

            x = torch.tensor(_time_first(cell.inputs()[0]))
            with torch.inference_mode():
                way = fastest(users_torch.ways(cell), x)
            return torch.inference_mode()(way), [x], lambda y: y.numpy().swapaxes(0, 1)
        modules = [step_module(torch, step, weights) for step, weights in zip(cell.steps, cell.weights())]
        inputs = [
            torch.tensor(convolutions.channels_first(x) if cell.channels_first else _time_first(x))
            for x in cell.inputs()
        ]
        lengths = torch.tensor(cell.lengths()) if cell.masked else None

        def run(x):
            with torch.inference_mode():
                if lengths is not None:
                    return unpack(modules[0](pack(x, lengths, enforce_sorted=False)), total_length=cell.shape[1])[0]
                return cell.walk(x, lambda n, step, *values: modules[n](*values))

        if cell.channels_first:
            return run, inputs, convolutions.swapped
        return run, inputs, lambda y: y.numpy().swapaxes(0, 1) if y.ndim == 3 else y.numpy()

    return prepare
