"""Activations, each one instruction of a chain or one step over rows. https://keras.io/api/ops/nn/"""

import numpy as np

from fastseq.configs.lazy_names import Some, face
from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.ops import elementwise as e
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.operation import operation
from fastseq.ops.shapes import axis_of
from fastseq.ops.values import MixesTimesteps, Traced, cast, reordered, view
from fastseq.program.gradient_rules import register
from fastseq.program.slots import strides_of

register("row_activation", "gradients.elementwise:row_activation_rule")

_FLOAT = "float32 array of the shape of `x`."


def activated(kind, x, *parameters):
    """`x` through one of `ACTIVATION_KINDS` of single elements, with up to three parameters."""
    x = cast(x, "float32")
    slot = x.p.chain_activation(ACTIVATION_KINDS[kind], x.slot, [*map(float, parameters), 0.0, 0.0, 0.0][:3])
    if kind == "sigmoid":
        slot.activated = kind, x.slot
    return Traced(x.p, slot, x.time)


_SHOWN = "[-1.0, 0.0, 2.0]"


def _example(name, arguments, shown):
    return f"ops.{name}({arguments})\narray({shown}, dtype=float32)"


def _plain(class_name, kind, summary, shown, parameters=()):
    """A function of `x` alone; shown: what it makes of `_SHOWN`."""

    def decorate(body):
        def function(x):
            return activated(kind, x, *parameters)

        name = function.__name__ = function.__qualname__ = body.__name__
        function.__module__ = body.__module__
        described = documented(summary, {"x": ARRAY}, _FLOAT, _example(name, _SHOWN, shown))(function)
        return operation(class_name, "nn")(described)

    return decorate


def _with(class_name, summary, parameters, shown):
    """A function of `x` and of numbers that are options; shown: what it makes of `_SHOWN`."""

    def decorate(body):
        name = body.__name__
        texts = {"x": ARRAY} | {parameter: f"(float): {text}" for parameter, text in parameters.items()}
        rest = {"threshold": ", 0.5, -1.0"}.get(name, "")
        described = documented(summary, texts, _FLOAT, _example(name, _SHOWN + rest, shown))(body)
        return operation(class_name, "nn", options=tuple(parameters))(described)

    return decorate


# ---- of single elements ----------------------------------------------------------------------------------------------


@_plain("Relu", "relu", "`max(x, 0)`.", "[0., 0., 2.]", parameters=(0.0, float("inf"), 0.0))
def relu(x): ...


@_plain("Relu6", "relu6", "`min(max(x, 0), 6)`.", "[0., 0., 2.]")
def relu6(x): ...


@_plain("Sigmoid", "sigmoid", "`1 / (1 + exp(-x))`.", "[0.26894143, 0.5       , 0.880797  ]")
def sigmoid(x): ...


@_plain("SparseSigmoid", "sparse_sigmoid", "0 up to -1, 1 from 1 on, and a line between.", "[0. , 0.5, 1. ]")
def sparse_sigmoid(x): ...


@_plain("Softplus", "softplus", "`log(1 + exp(x))`.", "[0.3132617, 0.6931472, 2.126928 ]")
def softplus(x): ...


@_plain("Softsign", "softsign", "`x / (1 + abs(x))`.", "[-0.5      ,  0.       ,  0.6666667]")
def softsign(x): ...


@_plain("SparsePlus", "sparse_plus", "0 up to -1, `x` from 1 on, and `(x + 1)^2 / 4` between.", "[0.  , 0.25, 2.  ]")
def sparse_plus(x): ...


@_plain("Silu", "silu", "`x * sigmoid(x)`.", "[-0.26894143,  0.        ,  1.761594  ]")
def silu(x): ...


swish = silu


@_plain("LogSigmoid", "log_sigmoid", "`log(sigmoid(x))`.", "[-1.3132617, -0.6931472, -0.126928 ]")
def log_sigmoid(x): ...


@_plain("HardSigmoid", "hard_sigmoid", "`relu6(x + 3) / 6`.", "[0.33333334, 0.5       , 0.8333333 ]")
def hard_sigmoid(x): ...


@_plain("HardSilu", "hard_silu", "`x * relu6(x + 3) / 6`.", "[-0.33333334,  0.        ,  1.6666666 ]")
def hard_silu(x): ...


hard_swish = hard_silu


@_plain(
    "Selu", "selu", "The scaled exponential unit, `1.0507 * elu(x, 1.6733)`.", "[-1.1113307,  0.       ,  2.101402 ]"
)
def selu(x): ...


@_plain("TanhShrink", "tanh_shrink", "`x - tanh(x)`.", "[-0.23840582,  0.        ,  1.0359724 ]")
def tanh_shrink(x): ...


@_plain("HardTanh", "hard_tanh", "`x`, at least -1 and at most 1.", "[-1.,  0.,  1.]")
def hard_tanh(x): ...


@_with(
    "LeakyRelu",
    "`x`, times `negative_slope` where it is negative.",
    {"negative_slope": "The slope below 0."},
    "[-0.2,  0. ,  2. ]",
)
def leaky_relu(x, negative_slope=0.2):
    return activated("leaky_relu", x, negative_slope)


@_with(
    "Elu",
    "`x`, and `alpha * (exp(x) - 1)` where it is negative.",
    {"alpha": "The factor."},
    "[-0.63212055,  0.        ,  2.        ]",
)
def elu(x, alpha=1.0):
    return activated("elu", x, alpha)


@_with(
    "Celu",
    "`x`, and `alpha * (exp(x / alpha) - 1)` where it is negative.",
    {"alpha": "The factor."},
    "[-0.63212055,  0.        ,  2.        ]",
)
def celu(x, alpha=1.0):
    return activated("celu", x, alpha)


@_with("Squareplus", "`(x + sqrt(x^2 + b)) / 2`.", {"b": "How smooth it is."}, "[0.618034 , 1.       , 2.4142137]")
def squareplus(x, b=4):
    return activated("squareplus", x, b)


@_with("SoftShrink", "`x` nearer to 0 by the threshold.", {"threshold": "What is taken away."}, "[-0.5,  0. ,  1.5]")
def soft_shrink(x, threshold=0.5):
    return activated("soft_shrink", x, threshold)


@_with(
    "HardShrink",
    "`x` where it is further from 0 than the threshold, else 0.",
    {"threshold": "How far."},
    "[-1.,  0.,  2.]",
)
def hard_shrink(x, threshold=0.5):
    return activated("hard_shrink", x, threshold)


@_with(
    "Threshold", "`x` where it is above the threshold, else the default value.",
    {"threshold": "What `x` has to be above.", "default_value": "What stands for the rest."},
    "[-1., -1.,  2.]",
)  # fmt: skip
def threshold(x, threshold, default_value):
    return activated("threshold", x, threshold, default_value)


@operation("Gelu", "nn", options=("approximate",))
@documented(
    "`x` times the normal distribution's share below `x`.",
    {"x": ARRAY, "approximate": "(bool, default True): Whether it is taken from tanh."},
    _FLOAT,
    "ops.gelu([-1.0, 0.0, 2.0])\narray([-0.158808 ,  0.       ,  1.9545978], dtype=float32)",
)
def gelu(x, approximate=True):
    return activated("gelu_tanh" if approximate else "gelu", x)


# ---- over rows -------------------------------------------------------------------------------------------------------

_AXIS = "(int or tuple, default -1): The axes whose elements go together; None is all."
_AXES_RAISES = {"ValueError": "An axis that is not there."}


def _over_rows(kind, x, axis, name):
    """`x` through one of `ACTIVATION_KINDS` of rows, along an axis, several, or all (None)."""
    x = cast(x, "float32")
    if not x.ndim:
        raise ValueError(f"ops.{name} takes an array with axes, got a scalar.")
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (list, tuple)) else (axis,)
    axes = [axis_of(x, one, name) for one in axes]
    if x.time in axes:
        raise MixesTimesteps("it takes all timesteps together")
    if len(axes) == 1:
        return Traced(x.p, x.p.activation((kind, ()), x.slot, axes[0]), x.time)
    # The axes together as the last one.
    order = [i for i in range(x.ndim) if i not in axes] + sorted(axes)
    moved = reordered(x, order)
    kept = moved.shape[: x.ndim - len(axes)]
    size = int(np.prod(moved.shape[len(kept) :], dtype=np.int64))
    rows = x.p.activation((kind, ()), moved.slot.reshaped((*kept, size)), -1)
    back = Traced(x.p, rows.reshaped(moved.shape), moved.time)
    return reordered(back, [order.index(i) for i in range(x.ndim)])


def _row_wise(class_name, summary, shown):
    def decorate(body):
        name = body.__name__
        example = _example(name, "[1.0, 2.0]", shown)
        described = documented(summary, {"x": ARRAY, "axis": _AXIS}, _FLOAT, example, _AXES_RAISES)
        return operation(class_name, "nn", options=("axis",))(described(body))

    return decorate


@_row_wise("Softmax", "`exp(x)` over its sum along axes.", "[0.26894143, 0.7310586 ]")
def softmax(x, axis=-1):
    return _over_rows("softmax", x, axis, "softmax")


@_row_wise("LogSoftmax", "The logarithm of `softmax(x)`.", "[-1.3132616 , -0.31326166]")
def log_softmax(x, axis=-1):
    return _over_rows("log_softmax", x, axis, "log_softmax")


@operation("Sparsemax", "nn", options=("axis",))
@documented(
    "Keras's sparsemax: like softmax, but small elements become 0.",
    {"x": ARRAY, "axis": "(int, default -1): The axis whose elements go together."},
    _FLOAT,
    "ops.sparsemax([1.0, 2.0])\narray([0., 1.], dtype=float32)",
    _AXES_RAISES,
)
def sparsemax(x, axis=-1):
    return _over_rows("sparsemax", x, axis, "sparsemax")


@operation("Glu", "nn", options=("axis",))
@documented(
    "The first half along an axis times the sigmoid of the second.",
    {"x": ARRAY, "axis": "(int, default -1): The axis that is halved."},
    "float32 array, half as long along the axis.",
    "ops.glu([1.0, 2.0])\narray([0.880797], dtype=float32)",
    {"ValueError": "An axis of odd size, or that is not there."},
)
def glu(x, axis=-1):
    x = cast(x, "float32")
    axis = axis_of(x, axis, "glu")
    size = x.shape[axis]
    if size % 2 and size not in getattr(x.p, "unknown", ()):
        raise ValueError(f"ops.glu halves axis {axis} of an array of shape {x.shape}, which has an odd size.")
    if x.time == axis:
        raise MixesTimesteps("it takes timesteps apart")
    strides = strides_of(x.shape)
    shape = [n // 2 if i == axis else n for i, n in enumerate(x.shape)]
    first, second = (view(x, shape, strides, start * strides[axis], x.time) for start in (0, size // 2))
    return e.multiply(first, sigmoid(second))


# ---- what else keras.ops.nn has --------------------------------------------------------------------------------------

__getattr__, __dir__ = face(__name__, Some(
    "fastseq.ops",
    "celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid log_softmax relu "
    "relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus "
    "swish tanh_shrink threshold "
    "adaptive_average_pool adaptive_max_pool average_pool batch_normalization binary_crossentropy "
    "categorical_crossentropy conv conv_transpose ctc_decode ctc_loss depth_to_space depthwise_conv "
    "dot_product_attention fold layer_normalization max_pool moments multi_hot normalize one_hot polar psnr "
    "rms_normalization separable_conv space_to_depth sparse_categorical_crossentropy unfold",
))  # fmt: skip
