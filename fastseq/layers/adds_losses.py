"""What layers add to the loss: `add_loss` and `losses`. https://keras.io/api/layers/base_layer/#losses-property"""

from fastseq.layers import traced_penalties
from fastseq.ops import tracing
from fastseq.program import added_losses
from fastseq.program.added_losses import Penalty


class AddsLosses:
    """Mixed into `Layer`."""

    _added_losses = ()  # by the last call; see added_losses.py
    _has_added = False  # whether a call ever did
    _forgotten = None  # the news at which all layers in this one had none

    @property
    def losses(self):
        """A new list of what this layer and the layers in it add to the loss in training, as in Keras.

        First what the last call added: the values given to `add_loss` and, for each output of a layer that has an
        `activity_regularizer`, its penalty divided by the number of rows. The layer's own come first, then those of the
        layers in it. A call of a layer, or of a model around it, replaces what the call before added; after a step of
        training or `evaluate` they are those of its batch. Then a penalty for each trainable weight that has a
        regularizer, in the order of `trainable_weights`: none before the layer is built, nor where it is frozen.
        Penalties are NumPy float32 scalars, values given to `add_loss` are what was given. In what
        `fastseq.value_and_grad` differentiates they can be differentiated too.
        """
        program = tracing.program()
        return added_losses.losses_of(self) if program is None else traced_penalties.losses_of(program, self)

    def add_loss(self, loss):
        """Adds a value to the loss of training and to `losses`, from inside `call()`.

        Training differentiates what a `call` adds that is traced (see `Layer`). For one that runs in Python it needs
        the gradient: a layer for which it is not zero by construction of the model (that has trainable weights, or
        comes after a layer that has) defines `losses_backward(*inputs)`, which returns the gradients of the sum of all
        values that `call(*inputs)` adds, those by layers that it calls included: what `backward` returns, by the float
        inputs and then by the trainable weights. `fit` and `train_on_batch` raise UnsupportedError where it is missing.

        Args:
            loss (array or nest): An array or NumPy scalar of any real dtype, or a nested list, tuple or dict of them;
                an array's values are summed.

        Raises:
            ValueError: Anything else, as in Keras: a Python number, None, a function, a symbolic tensor.

        Example:
            >>> class Sparse(layers.Layer):
            ...     def call(self, x):
            ...         self.add_loss(0.5 * ops.sum(ops.abs(x)))
            ...         return x
            >>> layer = Sparse()
            >>> y = layer(np.array([[1.0, -3.0]]))
            >>> [float(loss) for loss in layer.losses]
            [2.0]
        """
        program = tracing.program()
        if program is None:
            added_losses.add(self, loss)
        else:
            traced_penalties.add(program, self, loss)

    def _penalties_of(self, outputs, timesteps=1):
        """A `Penalty` for each of `outputs`, Slots or arrays, where the layer has an activity regularizer."""
        regularizer = self.activity_regularizer
        if regularizer is None:
            return []
        # Keras cannot penalize booleans.
        return [Penalty(self, regularizer, output, timesteps) for output in outputs if output.dtype != "bool"]
