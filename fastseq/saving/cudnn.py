"""Weights saved by Keras 2's CuDNNLSTM and CuDNNGRU, in the layout of LSTM and GRU(reset_after=True).

cuDNN keeps one matrix per gate, transposed, and one bias for the input and one for the state, all in one row:
(8 H,) for CuDNNLSTM and (6 H,) for CuDNNGRU. The gates stand in Keras's order already, because Keras 2 cut its one
kernel into cuDNN's pieces, so only the inside of each gate's block changes.
"""

import numpy as np


def saved_shapes(kernel, recurrent_kernel, bias):
    """Shapes that cuDNN weights have in a file, for a layer whose weights have these shapes; None for no RNN layer."""
    if len(kernel) != 2 or len(recurrent_kernel) != 2 or kernel[1] != recurrent_kernel[1] or not recurrent_kernel[0]:
        return None
    units, columns = recurrent_kernel
    lstm = columns == 4 * units and bias == (4 * units,)
    gru = columns == 3 * units and bias == (2, 3 * units)
    return (kernel, recurrent_kernel, (2 * columns,)) if lstm or gru else None


def convert(kernel, recurrent_kernel, bias):
    """cuDNN weights -> [kernel (I, G H), recurrent_kernel (H, G H), bias (4 H,) or (2, 3 H)] as Keras has them."""
    units, columns = recurrent_kernel.shape
    gates = columns // units
    inputs = kernel.shape[0]
    kernels = [block.reshape(units, inputs).T for block in np.hsplit(kernel, gates)]
    recurrent_kernels = [block.T for block in np.hsplit(recurrent_kernel, gates)]
    biases = bias.reshape(2, columns)
    return [
        np.hstack(kernels),
        np.hstack(recurrent_kernels),
        # An LSTM only ever sees the sum of both; a GRU with reset_after needs them apart.
        biases[0] + biases[1] if gates == 4 else biases,
    ]
