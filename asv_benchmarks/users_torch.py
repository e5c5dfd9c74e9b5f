"""The layers of user_layers.py in PyTorch, as one writes them there: modules."""

import shutil

import torch
from cells import EPSILON, HEADS
from torch.nn.functional import layer_norm, linear, relu, scaled_dot_product_attention


class OwnLSTM(torch.nn.Module):
    """(T, B, units) of (T, B, I): the input's products of all timesteps ahead of the loop. Can be scripted."""

    def __init__(self, kernel, recurrent, bias, gamma, state_gamma):
        super().__init__()
        self.epsilon: float = EPSILON
        self.kernel, self.recurrent = torch.nn.Parameter(kernel), torch.nn.Parameter(recurrent)
        self.bias, self.gamma = torch.nn.Parameter(bias), torch.nn.Parameter(gamma)
        self.state_gamma = torch.nn.Parameter(state_gamma)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gates, units = self.gamma.shape, self.state_gamma.shape
        h = torch.zeros([x.shape[1], units[0]], dtype=x.dtype)
        c, outputs = h, []
        for z in torch.unbind(x @ self.kernel):
            z = layer_norm(z + h @ self.recurrent, gates, self.gamma, self.bias, self.epsilon)
            i, f, g, o = z.chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(layer_norm(c, units, self.state_gamma, None, self.epsilon))
            outputs.append(h)
        return torch.stack(outputs)


class SelfAttention(torch.nn.Module):
    """(T, B, C) of (T, B, C), with the weights of Keras's MultiHeadAttention; the three products are one."""

    def __init__(self, causal, *weights):
        super().__init__()
        size = weights[0].shape[0]
        kernels = [w.reshape(size, -1).T for w in weights[0:6:2]]
        self.heads, self.causal = weights[0].shape[1], causal
        self.mixed = torch.cat(kernels).contiguous()
        self.mixed_bias = torch.cat([w.flatten() for w in weights[1:6:2]])
        self.out, self.out_bias = weights[6].reshape(-1, size).T.contiguous(), weights[7]

    def forward(self, x):
        parts = linear(x, self.mixed, self.mixed_bias).unflatten(-1, (3, self.heads, -1)).permute(2, 1, 3, 0, 4)
        heads = scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=self.causal)  # (B, heads, T, ...)
        return linear(heads.permute(2, 0, 1, 3).flatten(-2), self.out, self.out_bias)


class Transformer(torch.nn.Module):
    """(B, T, C) of (B, T, C). Its parameters are those of Keras's layer, kernels transposed."""

    def __init__(self, *weights):
        super().__init__()
        own = [torch.nn.Parameter(w.T.contiguous() if w.ndim == 2 else w) for w in weights]
        self.own = torch.nn.ParameterList(own)

    def forward(self, x):
        mixed, mixed_bias, out, out_bias, gamma1, beta1, wide, wide_bias, narrow, narrow_bias, gamma2, beta2 = self.own
        parts = linear(x, mixed, mixed_bias).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        heads = scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).flatten(-2)
        x = layer_norm(x + linear(heads, out, out_bias), gamma1.shape, gamma1, beta1, EPSILON)
        wider = relu(linear(x, wide, wide_bias))
        return layer_norm(x + linear(wider, narrow, narrow_bias), gamma2.shape, gamma2, beta2, EPSILON)


def compiled(module):
    """The module by torch.compile; as it is where the C++ compiler is missing that this needs."""
    return torch.compile(module, dynamic=False) if shutil.which("g++") else module


MODULES = {"OwnLSTM": OwnLSTM, "Transformer": Transformer}
# What a module goes through to be trained faster. torch.compile of the loop over (32, 100, 64, 64) takes 174 s, and its
# step 17.8 ms, so 24.0 scripted, 25.0 as it is, JAX 15.8; of the block (32, 128, 512) it takes 22 s, and a step 0.99 s,
# so 1.39 as it is.
FASTER = {"OwnLSTM": torch.jit.script, "Transformer": compiled}


def ways(cell):
    """Modules for a cell of a user's own LSTM: as it is, and scripted.

    torch.compile takes 40 s and is not as fast as JAX's scan: (1, 100, 64, 64) 0.59 ms, scripted 1.39, as it is 2.69,
    JAX 0.21; of one timestep alone it is slower than the module, 3.7 ms.
    """
    [own] = cell.weights()
    module = OwnLSTM(*map(torch.tensor, own)).eval()
    return [module, torch.jit.freeze(torch.jit.script(module))]
