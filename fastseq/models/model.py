"""Model: what functional, sequential and a user's own models have in common. https://keras.io/api/models/model/"""

import inspect

from fastseq.data import predict as prediction
from fastseq.layers import inference
from fastseq.layers.base import Layer
from fastseq.layers.walk import all_layers, keeps_states
from fastseq.models import warming
from fastseq.models.trainable import Trainable
from fastseq.native.kept_states import all_or_nothing


def is_functional_call(args, kwargs):
    """True where a Model is made from symbolic inputs and outputs."""
    return len(args) == 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)


def _make_functional(cls):
    """Puts Functional where Model stands among the bases of a user's subclass."""
    Functional = Model.functional_class
    if not issubclass(cls, Functional):
        cls.__bases__ = tuple(
            Functional if base is Model else (_make_functional(base) if issubclass(base, Model) else base)
            for base in cls.__bases__
        )
    return cls


class Model(Trainable, Layer):
    """A layer made of layers, with `predict`, `summary`, `save` ...

    Model(inputs, outputs, name=None, trainable=True): a functional model from nested structures (list, tuple, dict)
    of KerasTensors. A subclass may define `call` on NumPy arrays instead; its attributes that are layers are its
    layers.
    """

    #: Functional, which functional.py says below it.
    functional_class = None
    _traced_attributes = False
    _takes_several = True

    def __new__(cls, *args, **kwargs):
        if cls is Model and is_functional_call(args, kwargs):
            cls = Model.functional_class
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args, **kwargs):
        if is_functional_call(args, kwargs):
            _make_functional(type(self))
            Model.functional_class.__init__(self, *args, **kwargs)
        else:
            super().__init__(*args, **kwargs)

    def emit(self, p, inputs=None, **kwargs):
        if not self._is_python:
            raise NotImplementedError(f"Model '{self.name}' ({type(self).__name__}) does not define call().")
        return super().emit(p, **(kwargs if inputs is None else {"inputs": inputs, **kwargs}))

    # ---- layers --------------------------------------------------------------------------------------------------

    @property
    def layers(self):
        """The layers of the model, one level deep. A new list."""
        return self._sublayers()

    @layers.setter
    def layers(self, _):
        raise AttributeError("`Model.layers` is made by the model: use another name for your own attribute.")

    def get_layer(self, name=None, index=None):
        """The layer with this name, or at this place in `layers`. Raises ValueError where there is none."""
        if index is not None and name is not None:
            raise ValueError(f"Provide only a layer name or a layer index. Received: index={index}, name={name}.")
        layers = self.layers
        if index is not None:
            if len(layers) <= index:
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has {len(layers)} layers."
                )
            return layers[index]
        if name is None:
            raise ValueError("Provide either a layer name or layer index at `get_layer`.")
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}. Existing layers are: {[layer.name for layer in layers]}.")

    @property
    def stateful(self):
        """True where a layer, at any depth, keeps states between calls."""
        return keeps_states(self)

    @all_or_nothing
    def reset_states(self):
        """Sets the states that stateful layers keep between calls back to zeros."""
        for layer in all_layers(self):
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
                layer.reset_state()

    reset_state = reset_states

    # ---- running -------------------------------------------------------------------------------------------------

    @all_or_nothing
    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Outputs for inputs `x`, computed batch by batch: NumPy arrays in the structure of the model's outputs.

        x: an array, a list or dict of arrays (several inputs), or batches: a generator or other iterable, or an
            object with `__len__` and `__getitem__` (as keras.utils.PyDataset). A batch is x, (x,), (x, y) or
            (x, y, weights); y and weights are not used.
        batch_size: rows per batch, for arrays. None: 32 where it matters (stateful models, Python layers, steps=),
            else as many as keep the batch's memory moderate: a row's result does not depend on it.
        verbose: 0 silent; 1 or "auto" a bar on stderr, once the run has lasted a second; 2 one line on stderr at the
            end.
        steps: number of batches to run; None runs all.
        callbacks: must be empty.

        Raises ValueError for inputs of different lengths, for arrays that do not fit the model's inputs, and for
        a stateful model where the number of rows is no multiple of batch_size.
        """
        return prediction.predict(self, x, batch_size, verbose, steps, callbacks)

    @all_or_nothing
    def predict_on_batch(self, x):
        """Outputs for one batch: NumPy arrays in the structure of the model's outputs."""
        return inference.plain(inference.run(self, x))

    def warm(self, input_shape):
        """Makes ready what calls for inputs of one shape run on, so that the first of them takes no longer than others.

        A server calls it before it takes requests. The weights are packed for the kernels and the steps of the call are
        planned, for `model(x)` and for `predict(x)` where x is one batch. Nothing is computed: states of stateful
        layers and random numbers stay as they are. Layers and losses in Python are called on zeros, as the first call
        does it, to learn the shapes of their results.

        Args:
            input_shape: tuple of int, that of the inputs, batch size first; a list or dict of such tuples for several
                inputs. Every size is known: one shape is made ready at a time, of up to 64 that are kept.

        Returns:
            The model.

        Raises:
            ValueError: a size is unknown or below zero, or the model does not take inputs of that shape.
            UnsupportedError: the model defines `call` in Python; warm the layers it calls, or call it once.

        Example:
            >>> model = fastseq.load_model("model.keras").warm((1, 100, 15))
            >>> y = model(x)  # x of shape (1, 100, 15)
        """
        warming.warm(self, input_shape)
        return self

    def stream(self, batch_size=1):
        """A `fastseq.streaming.Stream`: the model timestep by timestep, with the states of its own kept between calls.

        batch_size: rows that advance together. Raises ValueError, naming the layer, for a model whose output at a
        timestep needs later ones.
        """
        from fastseq.streaming import Stream

        return Stream(self, batch_size)

    def stream_pool(self, capacity):
        """A `fastseq.streaming.StreamPool`: at most `capacity` streams of one row that join and leave at any time."""
        from fastseq.streaming import StreamPool

        return StreamPool(self, capacity)

    def summary(
        self, line_length=None, positions=None, print_fn=None, expand_nested=False, show_trainable=False,
        layer_range=None,
    ):  # fmt: skip
        """Prints a table of the layers: name (type), output shape, number of parameters, connections; and totals.

        line_length: width of the table. positions: where the columns end, as fractions of it. print_fn: gets the
        whole text in one call instead of `print`. expand_nested: show the layers of models in the model.
        show_trainable: add a column. layer_range: two names or regular expressions, the first and last layer shown.
        """
        from fastseq.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    # ---- config and files ----------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model that a config from `get_config` describes, with freshly initialized weights."""
        Functional = Model.functional_class
        if all(key in config for key in ("name", "layers", "input_layers", "output_layers")):
            names = list(inspect.signature(cls.__init__).parameters)[1:]
            if cls is Model or (issubclass(cls, Functional) and names[:2] == ["inputs", "outputs"]):
                return Functional.of_config(Functional if cls is Model else cls, config, custom_objects)
        return cls(**config)

    def to_json(self, **kwargs):
        """The model's config as JSON text, in Keras's form. kwargs: for `json.dumps`."""
        import json

        from fastseq.configs.serialization import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Writes the model to a `.keras` file, or the older `.h5`; see `fastseq.saving.save_model`."""
        from fastseq import saving

        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath, overwrite=True):
        """Writes the weights to a `.weights.h5` file; see `fastseq.saving.save_weights`."""
        from fastseq import saving

        saving.save_weights(self, filepath, overwrite=overwrite)

    def load_weights(self, filepath, skip_mismatch=False, by_name=False, objects_to_skip=None):
        """Reads the weights from a file; see `fastseq.saving.load_weights`."""
        from fastseq import saving

        saving.load_weights(
            self, filepath, by_name=by_name, skip_mismatch=skip_mismatch, objects_to_skip=objects_to_skip
        )
