"""Model: what functional, sequential and a user's own models have in common. https://keras.io/api/models/model/"""

import inspect

from fastseq.data import predict as prediction
from fastseq.layers import inference
from fastseq.layers.base import Layer
from fastseq.layers.walk import all_layers, keeps_states
from fastseq.models import warming
from fastseq.models.files import Saved
from fastseq.models.functional_config import functional_from_config
from fastseq.models.steps import Steps
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


class Model(Steps, Trainable, Saved, Layer):
    """A layer made of layers, with `predict`, `fit`, `summary`, `save` ...

    Model(inputs, outputs, name=None, trainable=True) is a functional model from nested structures (list, tuple, dict)
    of KerasTensors. A subclass may define `call` on NumPy arrays instead; its attributes that are layers are its
    layers.

    Args:
        *args: The inputs and outputs of a functional model; none for a subclass with a `call`.
        **kwargs: `inputs` and `outputs`, `name`, `trainable`, and the others of `Layer`.

    Raises:
        ValueError: As `Functional`.

    Example:
        >>> x = layers.Input((3,))
        >>> model = fastseq.Model(x, layers.Dense(1, kernel_initializer="zeros", name="last")(x))
        >>> model.predict(np.ones((2, 3)), verbose=0).shape, model.predict_on_batch(np.ones((2, 3))).shape
        ((2, 1), (2, 1))
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((4, 3)), np.zeros((4, 1)), verbose=0)
        >>> model.evaluate(np.ones((4, 3)), np.zeros((4, 1)), verbose=0)
        0.0
        >>> model.train_on_batch(np.ones((4, 3)), np.zeros((4, 1)))
        0.0
        >>> model.get_layer("last").count_params()
        4
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
        """Adds the model's steps to a program, as `Layer.emit`.

        Args:
            p (Builder): The program that is being made.
            inputs (Slot or nest, default None): The inputs.
            **kwargs: Further arguments of the call.

        Returns:
            The Slots of the outputs.

        Raises:
            NotImplementedError: The class does not define `call`.
        """
        if not self._is_python:
            raise NotImplementedError(f"Model '{self.name}' ({type(self).__name__}) does not define call().")
        return super().emit(p, **(kwargs if inputs is None else {"inputs": inputs, **kwargs}))

    def _symbolic_graph(self):
        """Of a model that defines `call`: its graph, for streams; see models/symbolic_calls.py."""
        from fastseq.models.symbolic_calls import graph_of

        return graph_of(self)

    # ---- layers --------------------------------------------------------------------------------------------------

    @property
    def layers(self):
        """The layers of the model, one level deep. A new list."""
        return self._sublayers()

    @layers.setter
    def layers(self, _):
        raise AttributeError("`Model.layers` is made by the model: use another name for your own attribute.")

    def get_layer(self, name=None, index=None):
        """One of `layers`, by its name or its place.

        Args:
            name (str, default None): The layer's name.
            index (int, default None): Its place in `layers`.

        Returns:
            The layer.

        Raises:
            ValueError: No such layer, and both or neither of the arguments.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, name="last")])
            >>> model.get_layer("last") is model.get_layer(index=0)
            True
        """
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
        """Sets the states that stateful layers keep between calls back to zeros.

        Example:
            >>> model = fastseq.Sequential([layers.Input(batch_shape=(1, 2, 3)), layers.GRU(4, stateful=True)])
            >>> first, second = model(np.ones((1, 2, 3))), model(np.ones((1, 2, 3)))
            >>> model.reset_states()
            >>> np.array_equal(model(np.ones((1, 2, 3))), first), np.array_equal(first, second)
            (True, False)
        """
        for layer in all_layers(self):
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
                layer.reset_state()

    reset_state = reset_states

    # ---- running -------------------------------------------------------------------------------------------------

    @all_or_nothing
    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Outputs for inputs `x`, computed batch by batch.

        Args:
            x (array, nest or batches): An array, a list or dict of arrays (several inputs), or batches: a generator or
                other iterable, or an object with `__len__` and `__getitem__` (as keras.utils.PyDataset). A batch is x,
                (x,), (x, y) or (x, y, weights); y and weights are not used.
            batch_size (int, default None): Rows per batch, for arrays. None is 32 where it matters (stateful models,
                Python layers, steps=), else as many as keep the batch's memory moderate: a row's result does not depend
                on it.
            verbose (int or str, default "auto"): 0 is silent; 1 or "auto" a bar on stderr, once the run has lasted a
                second; 2 one line on stderr at the end.
            steps (int, default None): Number of batches to run; None runs all.
            callbacks (list, default None): Must be empty.

        Returns:
            NumPy arrays in the structure of the model's outputs.

        Raises:
            ValueError: Inputs of different lengths, arrays that do not fit the model's inputs, and a stateful model
                where the number of rows is no multiple of batch_size.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.predict(np.ones((3, 2)), verbose=0)
            array([[0.], [0.], [0.]], dtype=float32)
            >>> model.predict((np.ones((3, 2)) for _ in range(10)), verbose=0).shape
            (30, 1)
        """
        return prediction.predict(self, x, batch_size, verbose, steps, callbacks)

    @all_or_nothing
    def predict_on_batch(self, x):
        """Outputs for one batch.

        Args:
            x (array or nest): The inputs.

        Returns:
            NumPy arrays in the structure of the model's outputs.

        Raises:
            ValueError: Arrays that do not fit the model's inputs.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.predict_on_batch(np.ones((3, 2))).shape
            (3, 1)
        """
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
            >>> model = fastseq.Sequential([layers.Input((None, 15)), layers.LSTM(4)]).warm((1, 100, 15))
            >>> model(np.zeros((1, 100, 15), "float32")).shape
            (1, 4)
        """
        warming.warm(self, input_shape)
        return self

    def stream(self, batch_size=1, timesteps=None):
        """The model timestep by timestep, with states of its own kept between calls.

        Args:
            batch_size (int, default 1): Rows that advance together.
            timesteps (int, default None): How many timesteps there are at most, for layers of causal attention, which
                keep them all; None is the number in the shape of the model's input.

        Returns:
            A `fastseq.streaming.Stream`.

        Raises:
            ValueError: Naming the layer, a model whose output at a timestep needs later ones.

        Example:
            >>> model = fastseq.Sequential([layers.Input((None, 3)), layers.GRU(4)])
            >>> model.stream().step(np.zeros((1, 3))).shape
            (1, 4)
        """
        from fastseq.streaming import Stream

        return Stream(self, batch_size, timesteps)

    def stream_pool(self, capacity, timesteps=None):
        """Streams of one row each that join and leave at any time.

        Args:
            capacity (int): Most streams that are open at a time.
            timesteps (int, default None): As of `stream`.

        Returns:
            A `fastseq.streaming.StreamPool`.

        Raises:
            ValueError: As `stream`, and a model of several inputs or outputs.

        Example:
            >>> model = fastseq.Sequential([layers.Input((None, 3)), layers.GRU(4)])
            >>> pool = model.stream_pool(100)
            >>> speaker = pool.open()
            >>> pool.step({speaker: np.zeros(3)})[speaker].shape
            (4,)
        """
        from fastseq.streaming import StreamPool

        return StreamPool(self, capacity, timesteps)

    def summary(
        self, line_length=None, positions=None, print_fn=None, expand_nested=False, show_trainable=False,
        layer_range=None,
    ):  # fmt: skip
        """Prints a table of the layers: name (type), output shape, number of parameters, connections; and totals.

        Args:
            line_length (int, default None): Width of the table; None fits it.
            positions (list of float, default None): Where the columns end, as fractions of the width; None fits them.
            print_fn (function, default None): Gets the whole text in one call; None is `print`.
            expand_nested (bool, default False): Whether to show the layers of models in the model.
            show_trainable (bool, default False): Whether to add a column for it.
            layer_range (pair of str, default None): Names or regular expressions of the first and last layer shown;
                None is all.

        Raises:
            ValueError: A layer_range that no layers match.

        Example:
            >>> model = fastseq.Sequential([layers.Input((3,)), layers.Dense(4)], name="small")
            >>> model.summary(print_fn=lambda text: print(text.splitlines()[0]))
            Model: "small"
        """
        from fastseq.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    # ---- config and files ----------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model that a config from `get_config` describes, with freshly initialized weights.

        Args:
            config (dict): Of a functional model, or the arguments of the class.
            custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

        Returns:
            A Model.

        Raises:
            UnsupportedError: Unknown classes and options.

        Example:
            >>> x = layers.Input((3,))
            >>> model = fastseq.Model(x, layers.Dense(4)(x))
            >>> fastseq.Model.from_config(model.get_config()).output_shape
            (None, 4)
        """
        Functional = Model.functional_class
        if all(key in config for key in ("name", "layers", "input_layers", "output_layers")):
            names = list(inspect.signature(cls.__init__).parameters)[1:]
            if cls is Model or (issubclass(cls, Functional) and names[:2] == ["inputs", "outputs"]):
                return functional_from_config(Functional if cls is Model else cls, config, custom_objects)
        return cls(**config)
