"""Expressions as Keras 2's users write them between layers, with the functions of fastseq.ops that each is."""

import numpy as np


def expressions(tf, keras, x, i):
    """[(names of functions of fastseq.ops, the outputs)]; x: a tensor (None, 4, 5), i: one of integers, (None, 4)."""
    return [case for part in (_arithmetic, _functions, _more_functions, _shapes) for case in part(tf, keras, x, i)]


def _arithmetic(tf, keras, x, i):
    k = keras.backend
    return [
        ("get_item", x[:, -1, 0:3:2]),
        ("get_item", x[:, ::-1]),
        ("get_item", x[..., None]),
        ("multiply", x * 2.0),
        ("subtract", 1 - x),
        ("add", x + np.arange(5, dtype="f")),
        ("add", x + tf.ones((5,))),
        ("add", np.arange(5, dtype="f") + x),
        ("divide", x / 3.0),
        ("divide", 2.0 / x),
        ("negative", -x),
        ("power", x**2),
        ("greater", x > 0.0),
        ("less_equal", x <= 0.5),
        ("equal", tf.equal(i, 2)),
        ("not_equal", tf.not_equal(i, 2)),
        ("matmul transpose", x @ tf.transpose(x, [0, 2, 1])),
        ("absolute", abs(x)),
        ("logical_not greater", ~(x > 0.0)),
        ("logical_and greater less", (x > 0.0) & (x < 1.0)),
        ("mean", tf.reduce_mean(x, axis=1)),
        ("sum", tf.reduce_sum(x, [1, 2], keepdims=True)),
        ("mean", k.mean(x, axis=1)),
        ("sum", k.sum(x, axis=-1, keepdims=True)),
        ("max", tf.math.reduce_max(x, 1)),
        ("max", k.max(x, axis=1)),
        ("min", tf.reduce_min(x, -1)),
        ("prod", tf.reduce_prod(x, 1)),
        ("std", k.std(x, 1)),
        ("var", k.var(x, 1)),
        ("cast any greater", k.any(x > 0.0, axis=1)),
        ("all greater", tf.reduce_all(x > -1.0, axis=1)),
        ("logsumexp", tf.math.reduce_logsumexp(x, 1)),
    ]


def _functions(tf, keras, x, i):
    k, a = keras.backend, keras.activations
    return [
        ("softmax", tf.nn.softmax(x)),
        ("softmax", tf.nn.softmax(x, axis=1)),
        ("log_softmax", tf.nn.log_softmax(x)),
        ("relu", tf.nn.relu(x)),
        ("relu6", tf.nn.relu6(x)),
        ("leaky_relu", tf.nn.leaky_relu(x, alpha=0.1)),
        ("elu", a.elu(x)),
        ("selu", tf.nn.selu(x)),
        ("gelu", a.gelu(x)),
        ("gelu", tf.nn.gelu(x, approximate=True)),
        ("silu", a.swish(x)),
        ("softmax", a.softmax(x)),
        ("tanh", a.tanh(x)),
        ("sigmoid", a.sigmoid(x)),
        ("softplus", tf.math.softplus(x)),
        ("softsign", tf.nn.softsign(x)),
        ("tanh", tf.tanh(x)),
        ("sigmoid", tf.sigmoid(x)),
        ("exp", tf.exp(x)),
        ("log absolute", tf.math.log(tf.abs(x))),
        ("log1p absolute", tf.math.log1p(tf.abs(x))),
        ("sqrt absolute", tf.sqrt(tf.abs(x))),
        ("rsqrt absolute", tf.math.rsqrt(tf.abs(x))),
        ("square", tf.square(x)),
        ("reciprocal", tf.math.reciprocal(x)),
        ("sin", tf.sin(x)),
        ("cos", tf.cos(x)),
        ("sign", tf.sign(x)),
        ("floor", tf.floor(x)),
        ("round", tf.round(x)),
        ("maximum", tf.maximum(x, 0.0)),
        ("minimum", tf.minimum(x, 0.5)),
        ("square subtract", tf.math.squared_difference(x, 1.0)),
        ("clip", tf.clip_by_value(x, 0.0, 1.0)),
        ("clip", k.clip(x, 0, 1)),
        ("where greater zeros_like", tf.where(x > 0.0, x, tf.zeros_like(x))),
        ("ones_like", k.ones_like(x)),
        ("where equal divide", tf.math.divide_no_nan(x, tf.maximum(x, 0.0))),
        ("add", tf.add_n([x, x, x])),
        ("multiply rsqrt maximum sum square", tf.nn.l2_normalize(x, -1)),
        ("multiply rsqrt maximum sum square", k.l2_normalize(x, -1)),
        ("sqrt sum square", tf.norm(x, axis=1)),
        ("sqrt sum square", tf.math.reduce_euclidean_norm(x, 1)),
    ]


def _more_functions(tf, keras, x, i):
    return [
        ("erfc", tf.math.erfc(x)),
        ("erfinv tanh", tf.math.erfinv(tf.tanh(x))),
        ("arcsinh", tf.asinh(x)),
        ("arctanh tanh", tf.atanh(tf.tanh(x))),
        ("round", tf.math.rint(x)),
        ("i0", tf.math.bessel_i0(x)),
        ("where equal divide", tf.math.reciprocal_no_nan(tf.maximum(x, 0.0))),
        ("where equal multiply log", tf.math.xlogy(tf.nn.relu(x), tf.abs(x))),
        ("where equal multiply log1p", tf.math.xlog1py(tf.nn.relu(x), tf.abs(x))),
        ("where equal divide", tf.math.xdivy(tf.nn.relu(x), x)),
        (
            "add subtract relu multiply log1p exp negative absolute",
            tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid(x), logits=x),
        ),
        ("concatenate relu negative", tf.nn.crelu(x)),
    ]


def _shapes(tf, keras, x, i):
    k, ones = keras.backend, np.ones((5, 3), np.float32)
    return [
        ("get_item squeeze", tf.squeeze(x[:, :1], 1)),
        ("get_item squeeze", k.squeeze(x[:, :1], 1)),
        ("expand_dims", tf.expand_dims(x, -1)),
        ("expand_dims", k.expand_dims(x, 1)),
        ("reshape", tf.reshape(x, (-1, 20))),
        ("reshape", tf.reshape(x, (tf.shape(x)[0], 20))),
        ("reshape", k.reshape(x, (-1, 10, 2))),
        ("transpose", tf.transpose(x, perm=[0, 2, 1])),
        ("transpose", k.permute_dimensions(x, (0, 2, 1))),
        ("concatenate", tf.concat([x, x], axis=-1)),
        ("concatenate", k.concatenate([x, x])),
        ("stack", tf.stack([x, x], axis=1)),
        ("stack", k.stack([x, x], 1)),
        ("swapaxes matmul", tf.matmul(x, x, transpose_b=True)),
        ("swapaxes matmul", tf.linalg.matmul(x, x, transpose_a=True)),
        ("transpose matmul", k.batch_dot(x, x, axes=2)),
        ("tensordot", tf.tensordot(x, ones, 1)),
        ("cast", tf.cast(i, "float32")),
        ("cast", k.cast(i, "float32")),
        ("one_hot", tf.one_hot(i, 5)),
        ("one_hot", k.one_hot(i, 5)),
        ("split", tf.split(x, 2, axis=1)),
        ("split", tf.split(x, [1, 4], axis=2)),
        ("unstack", tf.unstack(x, axis=1)),
        ("tile", tf.tile(x, [1, 2, 1])),
        ("take", tf.gather(x, [0, 1], axis=1)),
        ("pad", tf.pad(x, [[0, 0], [1, 1], [0, 0]])),
        ("pad", tf.pad(x, [[0, 0], [1, 2], [0, 0]], mode="REFLECT")),
        ("argmax", tf.argmax(x, -1)),
        ("cumsum", tf.cumsum(x, 1)),
        ("cumsum flip", tf.cumsum(x, 1, reverse=True)),
        ("cumsum get_item zeros_like concatenate", tf.cumsum(x, 1, exclusive=True)),
        ("cumprod flip get_item ones_like concatenate", tf.math.cumprod(x, -2, exclusive=True, reverse=True)),
        ("cast where one_hot", tf.one_hot(i, 5, on_value=2.0, off_value=-1.0)),
        ("cast where one_hot", tf.one_hot(i, 5, on_value=2)),
        ("cast less expand_dims", tf.sequence_mask(i[:, 0], 4)),
        ("sort", tf.sort(x, axis=1)),
        ("argsort", tf.argsort(x, axis=1)),
        ("top_k", list(tf.math.top_k(x, 2))),
        ("trace", tf.linalg.trace(x)),
        ("diagonal", tf.linalg.diag_part(x)),
        ("flip", tf.reverse(x, [1])),
        ("roll", tf.roll(x, 1, 1)),
        ("get_item", tf.slice(x, [0, 0, 0], [-1, 2, 3])),
        ("get_item", tf.strided_slice(x, [0, 0], [1, 3])),
        ("repeat", tf.repeat(x, 2, axis=1)),
        ("copy", tf.identity(x)),
        ("stop_gradient", tf.stop_gradient(x)),
        ("tril", tf.linalg.band_part(x, -1, 0)),
        ("multiply add clip", k.hard_sigmoid(x)),
    ]


#: What is refused by name, since no function of fastseq.ops gives it or Keras 2 itself has not saved it whole.
REFUSED = {
    "nn.dropout": lambda tf, x: tf.nn.dropout(x, 0.1),
    "eq": lambda tf, x: x == 2.0,  # the 2.0 is not in what Keras 2 writes
    "einsum": lambda tf, x: tf.einsum("bte,bse->bts", x, x),  # nor are the two arrays: the equation is all it writes
    "sort": lambda tf, x: tf.sort(x, direction="DESCENDING"),
    "math.bessel_i0e": lambda tf, x: tf.math.bessel_i0e(x),
}
