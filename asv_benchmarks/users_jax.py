"""The layers of user_layers.py in JAX, as one writes them there: functions of arrays."""

from functools import partial

import jax
import jax.numpy as jnp
from cells import EPSILON, HEADS


def normalized(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + EPSILON)


def own_lstm(x, kernel, recurrent, bias, gamma, state_gamma, unroll=1):
    """(T, B, units) of (T, B, I): the input's products of all timesteps ahead of `lax.scan`."""

    def advance(state, z):
        h, c = state
        i, f, g, o = jnp.split(normalized(z + h @ recurrent) * gamma + bias, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(normalized(c) * state_gamma)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], len(recurrent)), x.dtype)
    return jax.lax.scan(advance, (zeros, zeros), x @ kernel, unroll=unroll)[1]


def _attended(query, key, value):
    """(B, T, heads, C / heads) of the same."""
    query, key, value = (array.swapaxes(1, 2) for array in (query, key, value))
    shares = jax.nn.softmax(query @ key.swapaxes(-1, -2) * query.shape[-1] ** -0.5, axis=-1)
    return (shares @ value).swapaxes(1, 2)


def transformer(x, *weights, attended=jax.nn.dot_product_attention):
    """(B, T, C) of (B, T, C)."""
    mixed, mixed_bias, out, out_bias, gamma1, beta1, wide, wide_bias, narrow, narrow_bias, gamma2, beta2 = weights
    parts = (x @ mixed + mixed_bias).reshape(*x.shape[:2], 3, HEADS, -1)
    query, key, value = (parts[:, :, i] for i in range(3))
    heads = attended(query, key, value).reshape(x.shape)
    x = normalized(x + heads @ out + out_bias) * gamma1 + beta1
    return normalized(x + jax.nn.relu(x @ wide + wide_bias) @ narrow + narrow_bias) * gamma2 + beta2


# The functions of a layer, of which the one that is fastest for a cell counts. A scan of four timesteps in a round is
# as fast as one or a little faster, of ten slower: (1, 100, 64, 64) 209 us, so 220 and 229. A step of training of the
# block (8, 64, 64) takes 3.3 ms by products, so 4.0 by dot_product_attention.
FORMS = {
    "OwnLSTM": [own_lstm, partial(own_lstm, unroll=4)],
    "Transformer": [partial(transformer, attended=_attended), transformer],
}


def ways(cell):
    """Functions of x, (T, B, I), for a cell of a user's own LSTM."""
    [step], [own] = cell.steps, [[jnp.asarray(w) for w in own] for own in cell.weights()]
    found = []
    for function in FORMS[step.kind]:
        fixed, given = jax.jit(lambda x, f=function: f(x, *own)), jax.jit(function)
        found.append(lambda x, call=fixed: call(x).block_until_ready())
        found.append(lambda x, call=given: call(x, *own).block_until_ready())
    return found
