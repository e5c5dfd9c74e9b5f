"""Sequential: layers one after the other. https://keras.io/api/models/sequential/"""

from fastseq.configs import policies
from fastseq.errors import FileFormatError
from fastseq.layers.base import Layer
from fastseq.layers.core.input_layer import InputLayer
from fastseq.models.functional import Functional
from fastseq.models.model import Model
from fastseq.models.stack import OfFunctional, Stack, added_input, fits
from fastseq.tensors import catch_alls, mask_rules, nest, weight_locks
from fastseq.tensors.symbolic import KerasTensor


class Sequential(OfFunctional, Model):
    """A stack of layers, each of one input and one output.

    Args:
        layers (list of Layer, default None): The first may be an `Input`, or say its input_shape=. Without either, the
            model is built when it is first called, or by `build(input_shape)`.
        trainable (bool, default True): Whether training changes the weights.
        name (str, default None): Of the model; None makes one.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: What is no layer, two layers of one name, and a second Input.

    Example:
        >>> model = fastseq.Sequential([layers.Input((None, 3)), layers.GRU(4)])
        >>> model.add(layers.Dense(2))
        >>> model.predict(np.zeros((5, 10, 3)), verbose=0).shape
        (5, 2)
    """

    # Masks travel with the outputs of the layers inside.
    supports_masking = True
    _build_builds = False  # without a plain shape it does nothing

    def __init__(self, layers=None, trainable=True, name=None, **kwargs):
        super(Model, self).__init__(trainable=trainable, name=name, **kwargs)
        self._stack = Stack()
        self._functional = None
        self.mask_rules = mask_rules.current()  # the rules that calls of its layers follow
        for layer in layers or ():
            self.add(layer, rebuild=False)
        if layers:
            self._rebuild()

    # ---- the stack -----------------------------------------------------------------------------------------------

    def add(self, layer, rebuild=True):
        """Puts a layer, or an `Input` as the first one, on top.

        Args:
            layer (Layer or KerasTensor): What is added.
            rebuild (bool, default True): Whether to build the model now; it is built at its first call otherwise.

        Raises:
            ValueError: What is no layer, a name that is taken, and a second Input.

        Example:
            >>> model = fastseq.Sequential()
            >>> model.add(layers.Input((3,)))
            >>> model.add(layers.Dense(4))
            >>> model.output_shape
            (None, 4)
        """
        stack = self._stack
        if isinstance(layer, KerasTensor) and isinstance((layer._keras_history or [None])[0], InputLayer):
            layer = layer._keras_history[0]
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Only instances of `Layer` can be added to a Sequential model. Received: {layer} of type "
                f"{type(layer).__name__}."
            )
        if stack.has_input() and stack.layers[0].added and stack.layers[0].name == layer.name:
            stack.rename_input()
        if stack.names.get(layer.name, layer) is not layer:
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. Name '{layer.name}' is already the "
                "name of a layer in this model. Update the `name` argument to pass a unique name."
            )
        if isinstance(layer, InputLayer) and stack.has_input():
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{stack.layers[0].batch_shape}. You cannot add a different Input layer to it."
            )
        if not stack.layers and layer._input_shape_arg is not None and not isinstance(layer, InputLayer):
            stack.add_input(layer._input_shape_arg, {layer.name})
        stack.push(layer)
        self._changed(rebuild)

    def pop(self, rebuild=True):
        """Takes the last layer off.

        Args:
            rebuild (bool, default True): Whether to build the model now; it is built at its first call otherwise.

        Returns:
            The layer.

        Raises:
            IndexError: There is none.

        Example:
            >>> model = fastseq.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(5)])
            >>> model.pop().units, model.output_shape
            (5, (None, 4))
        """
        if not self._stack.layers:
            raise IndexError(f"Sequential model '{self.name}' has no layer to remove.")
        layer = self._stack.remove()
        self._changed(rebuild)
        return layer

    def _changed(self, rebuild):
        self.built = False
        self._functional = None
        self._weights_changed()
        if rebuild:
            self._rebuild()

    def _rebuild(self):
        layers = self._stack.layers
        if len(layers) < 2:
            return
        if isinstance(layers[0], InputLayer):
            self.build(layers[0].batch_shape)
        elif isinstance(layers[0], Model) and isinstance(getattr(layers[0], "input_shape", None), tuple):
            self.build(layers[0].input_shape)

    @property
    def layers(self):
        """The layers without the InputLayer. A new list."""
        return self._stack.layers[1:] if self._stack.has_input() else self._stack.layers[:]

    @layers.setter
    def layers(self, _):
        raise AttributeError("`Sequential.layers` is made by the model: use `add()` and `pop()`.")

    def _sublayers(self):
        # Before __init__ of Sequential is done, Layer's asks already.
        return list(dict.fromkeys(self.layers + super()._sublayers())) if hasattr(self, "_stack") else []

    def saved_tree(self):
        tree = super().saved_tree()
        children = {key: tree["children"][key] for key in tree["children"] if key != "_functional"}
        return {**tree, "children": children, "layers": self.layers}

    @property
    def call_graph(self):
        """See `Functional.call_graph`; None too where the model is not built, or has several inputs."""
        return None if self._is_python or self._functional is None else self._functional.call_graph

    # ---- building ------------------------------------------------------------------------------------------------

    def build(self, input_shape=None):
        """Makes the weights. For the shapes of several inputs it does nothing.

        Args:
            input_shape (tuple, default None): That of the input, batch size first; a size of None is any. Without a
                shape it does nothing.

        Raises:
            ValueError: A model without layers, and another shape than that of the model's Input.

        Example:
            >>> model = fastseq.Sequential([layers.Dense(4)])
            >>> model.build((None, 3))
            >>> model.count_params()
            16
        """
        if not isinstance(input_shape, (list, tuple)) or not nest.is_shape(input_shape):
            return
        input_shape = tuple(input_shape)
        stack = self._stack
        if not stack.layers:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call `model.add(layer)`."
            )
        if not stack.has_input():
            first = added_input(input_shape, stack.names)
        elif fits(input_shape, stack.layers[0].batch_shape):
            first = stack.layers[0]
        else:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{stack.layers[0].batch_shape}. You cannot build it with input_shape {input_shape}."
            )
        x = inputs = first._inbound_nodes[0].outputs
        with mask_rules.scope(self.mask_rules):
            for layer in self.layers:
                x = layer(x)
        if not stack.has_input():
            stack.layers.insert(0, first)
            stack.names[first.name] = first
        # Kept away from the attributes that are walked: its layers are ours.
        object.__setattr__(self, "_functional", Functional(inputs, x, name=self.name))
        self._after_build()

    def get_build_config(self):
        """What `build_from_config` makes the weights from, in a file.

        Returns:
            dict of the input's shape; None before the model is built.

        Example:
            >>> fastseq.Sequential([layers.Input((3,)), layers.Dense(4)]).get_build_config()
            {'input_shape': (None, 3)}
        """
        return None if self._functional is None else {"input_shape": self._stack.layers[0].batch_shape}

    def build_from_config(self, config):
        """Makes the weights as `get_build_config` says, unless they are made.

        Args:
            config (dict): `input_shape`, as `build` takes it.

        Example:
            >>> model = fastseq.Sequential([layers.Dense(4)])
            >>> model.build_from_config({"input_shape": (None, 3)})
            >>> model.output_shape
            (None, 4)
        """
        if config and not self.built and config.get("input_shape"):
            self.build(config["input_shape"])

    def trace(self, p, arguments):
        first = next(iter(arguments.values()))
        if not self.built and not nest.is_nested(first) and not self._stack.has_input():
            # The weights do not depend on the batch size; only states that are kept do.
            shape = first.shape if self.stateful else (None, *first.shape[1:])
            with weight_locks.building:  # other threads may make their first call too
                if not self.built:
                    self.build(shape)
        return super().trace(p, arguments)

    # ---- calling -------------------------------------------------------------------------------------------------

    def _argument_dtypes(self, name):
        return self._functional._argument_dtypes(name) if self._functional is not None else None

    def _call_any(self, inputs, *args, **kwargs):
        if self._functional is not None:
            inputs = self._functional.arrange(inputs, self)
        return super()._call_any(inputs, *args, **kwargs)

    def emit(self, p, inputs, training=None, mask=None):
        if self._functional is not None:
            flat = nest.flatten(self._functional.arrange(inputs, self))
            self._functional.check_ranks(flat, self)
            return self._functional.call_graph.emit(p, flat, training, mask)
        # Several inputs, for which there is no graph: the layers as they come.
        if mask is not None and not nest.is_nested(inputs):
            inputs = inputs.with_mask(mask)
        for layer in self.layers:
            arguments = catch_alls.first_argument(layer, inputs)
            if training is not None and "training" in layer._signature.parameters:
                arguments["training"] = training
            with p.following(self.mask_rules):
                inputs = layer.trace(p, arguments)
        return inputs

    def emit_mask(self, p, inputs, mask):
        """The outputs carry the masks that the layers inside gave them, and no others."""
        return None

    def compute_output_spec(self, inputs, training=None, mask=None):
        """The symbolic output for a symbolic input; it builds a model that is not built.

        Args:
            inputs (KerasTensor or nest): The input.
            training (bool, default None): Not looked at: it changes no shape.
            mask (KerasTensor, default None): Not looked at.

        Returns:
            A KerasTensor, or a nest of them.

        Raises:
            ValueError: As `build`, and an input of another shape than the model's.

        Example:
            >>> model = fastseq.Sequential([layers.Dense(4)])
            >>> model.compute_output_spec(fastseq.KerasTensor((None, 3))).shape
            (None, 4)
        """
        if not self.built and not nest.is_nested(inputs):
            self.build(inputs.shape)
        if self._functional is not None:
            return self._functional.compute_output_spec(self._functional.arrange(inputs, self))
        for layer in self.layers:
            inputs = layer.compute_output_spec(inputs)
        self.built = True
        return inputs

    def compute_output_shape(self, input_shape):
        """The output's shape for an input's.

        Args:
            input_shape (tuple): Batch size first; None stands for any size.

        Returns:
            tuple.

        Raises:
            ValueError: A shape that a layer does not take.

        Example:
            >>> fastseq.Sequential([layers.Input((3,)), layers.Dense(4)]).compute_output_shape((5, 3))
            (5, 4)
        """
        if self._functional is not None:
            return self._functional.compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    # ---- config --------------------------------------------------------------------------------------------------

    def get_config(self):
        """The model's config in Keras 3.15's form. Weights are not part of it.

        Returns:
            dict, as `from_config` takes it.

        Example:
            >>> config = fastseq.Sequential([layers.Input((3,)), layers.Dense(4)], name="small").get_config()
            >>> config["name"], [entry["class_name"] for entry in config["layers"]]
            ('small', ['InputLayer', 'Dense'])
        """
        from fastseq.configs.serialization import serialize_keras_object

        config = Layer.get_config(self)
        config["layers"] = [serialize_keras_object(layer) for layer in self._stack.layers]
        if self._functional is not None:
            config["build_input_shape"] = list(self._stack.layers[0].batch_shape)
        return {**config, **mask_rules.entry(self.mask_rules)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model that a config from `get_config` describes, with freshly initialized weights.

        Args:
            config (dict): The model's name, and its layers' configs.
            custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

        Returns:
            A Sequential.

        Raises:
            FileFormatError: A config that is no Sequential's.
            UnsupportedError: Unknown classes and options.

        Example:
            >>> model = fastseq.Sequential([layers.Input((3,)), layers.Dense(4)])
            >>> fastseq.Sequential.from_config(model.get_config()).output_shape
            (None, 4)
        """
        from fastseq.configs.serialization import deserialize_keras_object

        if not isinstance(config, dict) or not isinstance(config.get("layers"), list) or "name" not in config:
            raise FileFormatError("The config of a Sequential model is a dict with 'name' and a list 'layers'.")
        layers = []
        with policies.reading(f"The config of model '{config['name']}'"):
            for position, entry in enumerate(config["layers"]):
                layer = deserialize_keras_object(entry, custom_objects)
                if not isinstance(layer, Layer):
                    raise FileFormatError(f"Layer number {position} is no layer but a {type(layer).__name__}.")
                layers.append(layer)
            with mask_rules.scope(mask_rules.of_entry(config)):
                model = cls(layers, name=config["name"], trainable=config.get("trainable", True))
            model.dtype_policy = config.get("dtype")
        shape = config.get("build_input_shape")
        if model._functional is None and isinstance(shape, (list, tuple)) and shape and layers:
            model.build(shape)
        return model
