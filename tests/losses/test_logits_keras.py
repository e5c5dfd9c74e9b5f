"""What a crossentropy goes on from where a model ends with a softmax or sigmoid, against Keras in fit and evaluate."""

import numpy as np
import pytest

import fastseq

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("keras_runs_eagerly")]
keras = pytest.importorskip("keras")

# Logits of 60 and 30, whose probabilities are clipped, and of 2 and 1: nothing between, where the last bit of a
# probability is much of its logarithm.
X = np.array([60, -60, 2, -2, 60, 2], "f")[:, None]
KERNEL, BIAS = np.array([[1, -1, 0.5]], "f"), np.zeros(3, "f")
CLASSES = np.array([0, 0, 1, 2, 1, 0])
LABELS = {
    "CategoricalCrossentropy": np.eye(3, dtype="f")[CLASSES], "SparseCategoricalCrossentropy": CLASSES,
    "BinaryCrossentropy": np.eye(3, dtype="f")[CLASSES],
}  # fmt: skip

ENDS = {
    "dense": lambda L, activation: [L.Dense(3, activation=activation)],
    "activation": lambda L, activation: [L.Dense(3), L.Activation(activation)],
    "identity": lambda L, activation: [L.Dense(3, activation=activation), L.Identity()],
    "no dropout": lambda L, activation: [L.Dense(3, activation=activation), L.Dropout(0.0)],
    "penalty": lambda L, activation: [L.Dense(3, activation=activation), L.ActivityRegularization(l2=0.01)],
    # From here on Keras knows nothing of the activation.
    "reshape": lambda L, activation: [L.Dense(3, activation=activation), L.Reshape((3,))],
    "flatten": lambda L, activation: [L.Dense(3, activation=activation), L.Flatten()],
}
FORGOTTEN = ("reshape", "flatten")


def compiled(k, end, activation, loss, **options):
    model = k.Sequential([k.Input((1,)), *ENDS[end](k.layers, activation)])
    model.set_weights([KERNEL, BIAS])
    model.compile(k.optimizers.SGD(0.1), getattr(k.losses, loss)(**options))
    return model


def trains_alike(y, *told, **options):
    """evaluate, a step of train_on_batch and one of fit give the same losses and weights. Returns evaluate's loss."""
    ours, theirs = (compiled(library, *told, **options) for library in (fastseq, keras))
    first = [model.evaluate(X, y, verbose=0) for model in (ours, theirs)]
    found = [
        [model.train_on_batch(X, y), *model.fit(X, y, batch_size=3, shuffle=False, verbose=0).history["loss"]]
        for model in (ours, theirs)
    ]
    np.testing.assert_allclose([first[0], *found[0]], [first[1], *found[1]], rtol=2e-5)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=2e-5, atol=1e-5)
    return first[0]


@pytest.mark.filterwarnings("ignore:.*does not represent logits")
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("loss", LABELS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("end", ENDS)
def test_what_went_into_the_activation(end, activation, loss, from_logits):
    found = trains_alike(LABELS[loss], end, activation, loss, from_logits=from_logits)
    # The very loss of the logits, whichever of the two activations it was; elsewhere another one.
    logits = X @ KERNEL
    own = getattr(fastseq.losses, loss)(from_logits=True)(LABELS[loss], logits)
    assert (found == pytest.approx(own, rel=1e-3)) == (end not in FORGOTTEN)


@pytest.mark.filterwarnings("error:.*represent logits")
@pytest.mark.parametrize("loss", LABELS)
@pytest.mark.parametrize(("end", "activation"), [("dense", "softmax"), ("activation", "sigmoid"), ("dense", None)])
def test_logits_that_are_none_are_told(end, activation, loss):
    words = "produced by a (?i:softmax|sigmoid) activation and thus does not represent logits. Was this intended"
    for library in (fastseq, keras):
        model = compiled(library, end, activation, loss, from_logits=True)
        for run in (model.train_on_batch, model.test_on_batch):
            if activation is None:
                run(X, LABELS[loss])
            else:
                with pytest.warns(UserWarning, match=words):
                    run(X, LABELS[loss])


@pytest.mark.parametrize("options", [{"ignore_class": 1}, {"dtype": "float64"}, {"reduction": "sum"}], ids=str)
def test_losses_that_make_other_tensors_of_the_predictions(options):
    trains_alike(CLASSES, "dense", "softmax", "SparseCategoricalCrossentropy", **options)
    if "ignore_class" not in options:
        trains_alike(LABELS["BinaryCrossentropy"], "dense", "sigmoid", "BinaryCrossentropy", **options)


@pytest.mark.parametrize("labels", ["(B, T)", "(B, T, 1)", "(B,)", "(B, 1)"])
def test_labels_without_the_last_axis(labels):
    """Keras takes the last axis from predictions (B, T, 1) for labels (B, T), and has other tensors then."""
    shape = (2, 3) if "T" in labels else (6,)
    y = np.array([1, 1, 0, 1, 0, 0], "f").reshape(shape if "1" not in labels else (*shape, 1))
    found = []
    for k in (fastseq, keras):
        model = k.Sequential([k.Input((*shape[1:], 1)), k.layers.Dense(1, activation="sigmoid")])
        model.set_weights([np.ones((1, 1)), np.zeros(1)])
        model.compile("sgd", "binary_crossentropy")
        x = X.reshape(*shape, 1)
        found.append([model.evaluate(x, y, verbose=0), model.train_on_batch(x, y), *map(np.sum, model.get_weights())])
    np.testing.assert_allclose(*found, rtol=2e-5)
