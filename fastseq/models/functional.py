"""Functional: a model from symbolic inputs and outputs. https://keras.io/guides/functional_api/"""

import warnings

from fastseq.layers.core.input_layer import Input, InputLayer
from fastseq.models import functional_config
from fastseq.models.calls import Calls
from fastseq.models.graph_map import Graph, sorted_nodes
from fastseq.models.keras_order import layers_in_keras
from fastseq.models.model import Model
from fastseq.models.structure import Structure
from fastseq.ops.operation import OpNode
from fastseq.tensors import catch_alls, nest
from fastseq.tensors.symbolic import KerasTensor, Node


class Functional(Model):
    """A graph of layer calls between KerasTensors; made by `Model(inputs, outputs)`.

    Args:
        inputs (KerasTensor or nest): A KerasTensor, or a list, tuple or dict of them, nested as wanted.
        outputs (KerasTensor or nest): The same.
        name (str, default None): Of the model; None makes one.
        trainable (bool, default None): None leaves it to the layers.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: Values that are no KerasTensors, outputs that the inputs do not lead to, and two layers of one name.

    Example:
        >>> x = layers.Input((None, 3))
        >>> fastseq.Model(x, layers.GRU(4)(x)).output_shape
        (None, 4)
    """

    # Masks travel with the outputs of the layers inside.
    supports_masking = True
    #: Keras counts the model's own definition as its call number 0.
    definition_is_a_call = True

    def __init__(self, inputs, outputs, name=None, trainable=None, **kwargs):
        super(Model, self).__init__(name=name, **kwargs)
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            flat = nest.flatten(structure)
            for tensor in flat:
                if not isinstance(tensor, KerasTensor) or tensor._keras_history is None:
                    raise ValueError(
                        f"All `{what}` values must be KerasTensors from `Input` or a layer call. Received "
                        f"{tensor!r} of type {type(tensor).__name__}."
                    )
            if not flat:
                raise ValueError(f"`{what}` argument cannot be empty.")
        if isinstance(inputs, dict):
            for key, tensor in inputs.items():
                if isinstance(tensor, KerasTensor) and tensor.name != key:
                    warnings.warn(
                        f"The key '{key}' of `inputs` differs from the name of its tensor, '{tensor.name}'. "
                        f"Change the tensor's name with `Input(..., name='{key}')`.",
                        stacklevel=3,
                    )
        if not all(isinstance(tensor._keras_history[0], InputLayer) for tensor in nest.flatten(inputs)):
            inputs, outputs = _on_new_inputs(inputs, outputs)
        # One object that is neither list nor dict: the layers are found through `layers`, not as attributes.
        self._structure = Structure(inputs, outputs)
        self._graph = Graph(self._structure.inputs, self._structure.outputs)
        self._structure.check_outputs(self._graph)
        self._plan = Calls(self._graph, self._structure)
        self.name_ends()
        self.built = True
        if trainable is not None:
            # As in Keras this is not the setter, which would overwrite the `trainable` of each layer of a loaded model.
            self._trainable = bool(trainable)

    def name_ends(self):
        """Makes `output_names` and `input_names`, from the names that the layers have now."""
        self.output_names = [tensor._keras_history[0].name for tensor in self.outputs]
        self.input_names = [tensor._keras_history[0].name for tensor in self.inputs]

    # ---- what it is made of --------------------------------------------------------------------------------------

    @property
    def layers(self):
        """The layers in Keras's order: by their distance to the outputs, the farthest first. A new list."""
        return [layer for layer in self._graph.layers if not isinstance(layer, OpNode)]

    @layers.setter
    def layers(self, _):
        raise AttributeError("`Model.layers` is made by the model: use another name for your own attribute.")

    @property
    def operations(self):
        """The layers, and the operations between them, in Keras's order. A new list."""
        return list(self._graph.layers)

    def _sublayers(self):
        return list(dict.fromkeys(self.layers + super()._sublayers()))

    def saved_tree(self):
        return {**super().saved_tree(), "layers": self.layers_in_keras(), "layers_as_made": self.layers_as_made()}

    def layers_as_made(self):
        """The layers in the order that the Keras had which made the model.

        Another one than that of `layers` only where the model comes from a file whose operations became others here.

        Returns:
            list of layers, a new one.

        Example:
            >>> x = layers.Input((3,), name="x")
            >>> [layer.name for layer in fastseq.Model(x, layers.Dense(4, name="y")(x)).layers_as_made()]
            ['x', 'y']
        """
        return list(self._structure.layers_as_made or self.layers)

    def layers_in_keras(self):
        """The layers in the order that Keras 3.15 has them in, once it has read a file of this model.

        Another one than that of `layers` only where calls follow the rules of masks of an older Keras.
        """
        return layers_in_keras(self._graph, self.inputs, self.outputs)

    @property
    def inputs(self):
        """The symbolic inputs, a flat list."""
        return self._structure.inputs

    @property
    def outputs(self):
        """The symbolic outputs, a flat list."""
        return self._structure.outputs

    @property
    def input(self):
        """The symbolic inputs in their structure."""
        return self._structure.input_struct

    @property
    def output(self):
        """The symbolic outputs in their structure."""
        return self._structure.output_struct

    @property
    def input_shape(self):
        """The inputs' shapes, batch size first: a tuple, or a list of them where there are several inputs."""
        shapes = [tensor.shape for tensor in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self):
        """The outputs' shapes, batch size first: a tuple, or a list of them where there are several outputs."""
        shapes = [tensor.shape for tensor in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    def add_loss(self, loss):
        """Not for functional models, as in Keras 3: a layer of the model calls it inside its `call`.

        Args:
            loss (array): Not looked at.

        Raises:
            NotImplementedError: Always.

        Example:
            >>> class Small(layers.Layer):
            ...     def call(self, x):
            ...         self.add_loss(0.5 * np.mean(x**2))
            ...         return x
            >>> x = layers.Input((3,))
            >>> model = fastseq.Model(x, Small()(x))
            >>> y = model(np.ones((1, 3)))
            >>> [float(loss) for loss in model.losses]
            [0.5]
        """
        raise NotImplementedError(
            f"Model '{self.name}': as in Keras 3 a functional model has no add_loss(). Call it inside the call() of a "
            "layer of the model."
        )

    @property
    def call_graph(self):
        """The model's `Calls`; None for a class with a `call` of its own."""
        return None if self._is_python else self._plan

    # ---- calling -------------------------------------------------------------------------------------------------

    def _call_any(self, inputs, *args, **kwargs):
        # Before the arguments are bound and converted: a dict of inputs is in another order than a list of them.
        return super()._call_any(self.arrange(inputs), *args, **kwargs)

    def arrange(self, inputs, model=None):
        """`inputs` in the structure of the model's inputs; see `Structure.arrange`. model: which errors name."""
        return self._structure.arrange(inputs, (model or self).name)

    def check_ranks(self, flat, model):
        """Raises ValueError, naming `model`, where a tensor has not its input's number of dimensions."""
        self._structure.check_shapes(flat, model, ranks_only=True)

    def build(self, input_shape=None):
        """Nothing to do: a functional model is built when it is made.

        Args:
            input_shape (tuple, default None): Not looked at.

        Example:
            >>> x = layers.Input((3,))
            >>> model = fastseq.Model(x, layers.Dense(4)(x))
            >>> model.built
            True
        """
        self.built = True

    def get_build_config(self):
        """What `build_from_config` needs: nothing, as the model is built when it is made.

        Returns:
            dict.

        Example:
            >>> x = layers.Input((3,))
            >>> model = fastseq.Model(x, layers.Dense(4)(x))
            >>> model.get_build_config()
            {'input_shape': None}
        """
        return {"input_shape": None}

    def _argument_dtypes(self, name):
        return self._plan.input_dtypes if name == "inputs" else None

    def emit(self, p, inputs, training=None, mask=None):
        flat = nest.flatten(self.arrange(inputs))
        self._structure.check_shapes(flat, self)
        return self._plan.emit(p, flat, training, mask)

    def emit_mask(self, p, inputs, mask):
        """The outputs carry the masks that the layers inside gave them, and no others."""
        return [None] * len(self.outputs)

    # ---- shapes --------------------------------------------------------------------------------------------------

    def compute_output_spec(self, inputs, training=None, mask=None):
        """Symbolic outputs for symbolic inputs.

        Args:
            inputs (KerasTensor or nest): In the structure of the model's inputs.
            training (bool, default None): Not looked at: it changes no shape.
            mask (KerasTensor or nest, default None): Not looked at.

        Returns:
            KerasTensors, in the structure of the model's outputs.

        Raises:
            ValueError: Inputs of another structure or shape.

        Example:
            >>> x = layers.Input((3,))
            >>> model = fastseq.Model(x, layers.Dense(4)(x))
            >>> model.compute_output_spec(fastseq.KerasTensor((5, 3))).shape
            (5, 4)
        """
        flat = nest.flatten(self.arrange(inputs))
        self._structure.check_shapes(flat, self, batch=True)
        shapes = tuple(tuple(tensor.shape) for tensor in flat)
        if shapes not in self._plan.specs:
            # Kept: without it a model that calls a model twice, which calls a model twice ..., takes 2^depth walks.
            self._plan.specs[shapes] = self._walk(shapes)
        return nest.pack_like(self.output, [KerasTensor(*spec) for spec in self._plan.specs[shapes]])

    def _walk(self, shapes):
        """[(shape, dtype)] of the outputs for input shapes."""
        if shapes == tuple(tensor.shape for tensor in self.inputs):
            return [(tensor.shape, tensor.dtype) for tensor in self.outputs]
        values = {id(t): KerasTensor(shape, t.dtype) for t, shape in zip(self.inputs, shapes)}
        for node in self._plan.steps:
            args, kwargs = catch_alls.spread(node.layer, self._plan.arguments(node, values))
            outputs = node.layer.compute_output_spec(*args, **kwargs)
            values.update(zip(map(id, node.output_tensors), nest.flatten(outputs)))
        return [(values[id(tensor)].shape, values[id(tensor)].dtype) for tensor in self.outputs]

    def compute_output_shape(self, input_shape):
        """Output shapes for input shapes.

        Args:
            input_shape (tuple or nest): In the structure of the model's inputs, batch size first.

        Returns:
            tuples, in the structure of the model's outputs.

        Raises:
            ValueError: Shapes that do not fit the inputs.

        Example:
            >>> x = layers.Input((3,))
            >>> model = fastseq.Model(x, layers.Dense(4)(x))
            >>> model.compute_output_shape((5, 3))
            (5, 4)
        """
        dtypes = iter([tensor.dtype for tensor in self.inputs] + ["float32"] * len(nest.flatten(input_shape)))
        inputs = nest.map_shapes(lambda shape: KerasTensor(shape, next(dtypes)), input_shape)
        return nest.map_structure(lambda tensor: tensor.shape, self.compute_output_spec(inputs))

    def get_config(self):
        """The model's config in Keras 3.15's form. Weights are not part of it.

        Returns:
            dict, as `from_config` takes it.

        Example:
            >>> x = layers.Input((3,), name="x")
            >>> fastseq.Model(x, layers.Dense(4)(x)).get_config()["input_layers"]
            ['x', 0, 0]
        """
        return functional_config.functional_config(self)


Model.functional_class = Functional


def _on_new_inputs(inputs, outputs):
    """(inputs, outputs) of the same graph cut off at `inputs`, each of which that was no Input gets a new Input.

    Masks that come from before the cut are gone: the new Inputs carry none.
    """
    copies = {}
    for tensor in nest.flatten(inputs):
        if isinstance(tensor._keras_history[0], InputLayer):
            copies[id(tensor)] = tensor
        else:
            copies[id(tensor)] = Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}CLONE")
    cut = set(copies)

    def copy(leaf):
        return copies[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

    def known(value):
        return all(id(leaf) in copies for leaf in nest.flatten(value) if isinstance(leaf, KerasTensor))

    for node in sorted_nodes(nest.flatten(inputs), nest.flatten(outputs)):
        arguments = {name: value for name, value in node.arguments.items() if name != "mask" or known(value)}
        if not node.input_tensors or not known(arguments):
            continue
        # One output of a call may become an Input: the call must then not take the new Input for its own output.
        results = [KerasTensor(t.shape, t.dtype, name=f"{t.name}_clone") for t in node.output_tensors]
        copies.update((id(old), new) for old, new in zip(node.output_tensors, results) if id(old) not in cut)
        results = nest.pack_like(node.outputs, results)
        Node(node.layer, nest.map_structure(copy, arguments), results, node.mask_rules)
    if not known(outputs):
        raise ValueError("Graph disconnected: the `outputs` cannot be computed from the given `inputs` alone.")
    return nest.map_structure(copy, inputs), nest.map_structure(copy, outputs)
