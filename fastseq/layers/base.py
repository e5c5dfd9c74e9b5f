"""The base of every layer: weights, config, and the three ways of calling it (eager, symbolic, inside a program).

A layer says what it computes in one method:

- a native layer defines `emit(self, p, <call arguments>)`, which adds native steps to the program `p`. Tensors are
  `program.Slot`s there, with a concrete shape, a dtype and perhaps a mask.
- a user's layer defines `call(self, <call arguments>)` on NumPy arrays, as in Keras. In a model it becomes a step that
  takes the GIL back.

See https://keras.io/api/layers/base_layer/ for the public surface.
"""

import inspect
import warnings

import numpy as np

from fastseq import activations, constraints, initializers, regularizers
from fastseq.configs import policies
from fastseq.layers import binding, building
from fastseq.layers.adds_losses import AddsLosses
from fastseq.layers.copied import Copied
from fastseq.native import _call
from fastseq.native.kept_states import all_or_nothing
from fastseq.program.cache import ProgramCache, ProgramUsers
from fastseq.tensors import nest, weight_locks
from fastseq.tensors.naming import auto_name
from fastseq.tensors.symbolic import KerasTensor, Node, is_symbolic
from fastseq.tensors.variable import Variable
from fastseq.tensors.weight_budget import initial_value

_NOT_TRACED = ("built", "input_spec")
_OF_WEIGHTS = ("units", "use_bias", "reset_after", "input_dim", "output_dim")
changes = [0]  # how often an attribute of a built layer was set: what a training program was made of


class Layer(AddsLosses, Copied, _call.PlainCall):
    """Base class of layers; subclass it to write your own.

    Arguments as in Keras: activity_regularizer, trainable, dtype (float32 only), autocast, name, and the older
    input_shape=, input_dim=, batch_input_shape= and weights=.
    A subclass defines `call` on NumPy arrays and, where it has weights, `build(input_shape)` with `add_weight`;
    `compute_output_shape` (else `call` is tried on zeros), `compute_mask`, `get_config` as in Keras. To train it and
    the layers before it, it defines `backward(gradient, *inputs)`: from the gradient by its output, an argument for
    each output, those by its float inputs and then, where it has any, by its `trainable_weights`, in their order: a
    list where there are several. `backward` reads weights as `call` does. Of a `call` that adds losses see `add_loss`.

    Raises ValueError for an unknown keyword argument and for a dtype other than float32.
    """

    supports_masking = False
    added = False  # whether a model added it by itself, and may call it otherwise

    def __new__(cls, *args, **kwargs):
        layer = super().__new__(cls)
        object.__setattr__(layer, "_constructor_arguments", (args, kwargs))
        object.__setattr__(layer, "_children", {})
        return layer

    def __init__(self, *, activity_regularizer=None, trainable=True, dtype=None, autocast=True, name=None, **kwargs):
        if not isinstance(trainable, bool):
            raise ValueError(f"`trainable` must be a boolean, got {trainable!r}.")
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"`name` must be a string without '/', got {name!r}.")
        self.name = name or auto_name(type(self).__name__)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._policy = policies.policy_of(dtype, self.name)
        self.autocast = autocast
        self._trainable = trainable
        self._input_shape_arg = binding.pop_input_shape(kwargs)
        self._initial_weights = kwargs.pop("weights", None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}")
        self.built = False
        self.input_spec = None
        self._build_shape = None
        self._variables = []
        self._inbound_nodes = []
        self._packed = {}
        self._programs = ProgramCache()
        self._users = ProgramUsers(self._programs)
        self._is_python = type(self).call is not Layer.call
        self._signature = binding.call_signature(self)
        self._plain_argument = binding.only_required(self._signature)

    # ---- weights -------------------------------------------------------------------------------------------------

    def add_weight(
        self, shape=None, initializer=None, dtype=None, trainable=True, autocast=True, regularizer=None,
        constraint=None, aggregation="none", overwrite_with_gradient=False, name=None,
    ):  # fmt: skip
        """Adds a weight and returns its `Variable`.

        shape: tuple of int; initializer: as `fastseq.initializers.get` takes it (default: glorot_uniform).
        Raises ValueError for a dtype other than float32 and for a shape with unknown or negative sizes.
        """
        if dtype is not None and str(np.dtype(dtype)) != "float32":
            raise ValueError(f"Layer '{self.name}': weights are float32, got dtype={dtype}.")
        if aggregation not in (None, "none") or overwrite_with_gradient:
            raise ValueError(f"Layer '{self.name}': aggregation and overwrite_with_gradient are not supported.")
        shape = () if shape is None else tuple(shape)
        if not all(isinstance(size, (int, np.integer)) and size >= 0 for size in shape):
            raise ValueError(f"Layer '{self.name}': a weight needs a known shape, got {shape}.")
        initializer = initializers.get(initializer or "glorot_uniform")
        variable = Variable(
            initial_value(initializer, shape, self.name), name or auto_name("variable"), trainable, owner=self,
            initializer=initializer, regularizer=regularizers.get(regularizer), constraint=constraints.get(constraint),
            copy=False,
        )  # fmt: skip
        variable.trainable = variable.trainable and self._trainable
        self._variables.append(variable)
        return variable

    # Whether programs depend on what users may set; a model's depend on its layers' alone.
    _traced_attributes = True
    _takes_several = False  # whether the first argument may be a list or a dict of tensors

    def __setattr__(self, key, value):
        if key[0] != "_" and key not in _NOT_TRACED and self.__dict__.get("built") and self._traced_attributes:
            value = self._changed_attribute(key, value)
        # Layers held in attributes, or in lists and dicts in attributes, are sublayers: their weights are ours.
        if key != "_inbound_nodes" and not isinstance(value, (np.ndarray, str)):
            found = [leaf for leaf in nest.flatten(value) if isinstance(leaf, Layer)]
            if found:
                self._children[key] = found
            else:
                self._children.pop(key, None)
        object.__setattr__(self, key, value)

    def _changed_attribute(self, key, value):
        """`value` as the attribute gets it in a built layer, whose programs are then made anew.

        Raises AttributeError where the weights there are were made for another value, and for a weight itself.
        """
        before = getattr(self, key, None)
        who = f"Layer '{self.name}' ({type(self).__name__})"
        if key in _OF_WEIGHTS and before is not None and before != value:
            raise AttributeError(f"{who} is built, with weights for {key}={before!r}: it cannot have {key}={value!r}.")
        if isinstance(before, Variable) and value is not before:
            raise AttributeError(f"{who}: `{key}` is a weight; give it values with layer.{key}.assign(values).")
        if self._is_python:
            return value  # its call() reads it anew
        if key in ("activation", "recurrent_activation"):
            value = activations.get(value)
        if value is not before:
            self._weights_changed()
            changes[0] += 1
        return value

    def _sublayers(self):
        """Layers this layer holds, each once, in the order they were set."""
        return list(dict.fromkeys(layer for group in self._children.values() for layer in group))

    @property
    def weights(self):
        """All variables, those of this layer that were made trainable first, then its sublayers'."""
        nested = [v for layer in self._sublayers() for v in layer.weights]
        return list(dict.fromkeys(self._own_weights() + nested))

    def _own_weights(self):
        return sorted(self._variables, key=lambda v: not v.listed_trainable)

    @property
    def variables(self):
        """The weights and the states of random numbers, as in Keras: those of a layer behind its own weights."""
        nested = [v for layer in self._sublayers() for v in layer.variables]
        return list({id(v): v for v in (*self._own_weights(), *self._seed_states(), *nested)}.values())

    def _seed_states(self):
        """The StateVariables of the random numbers that the layer itself draws."""
        return []

    @property
    def trainable(self):
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        self._trainable = bool(value)
        for variable in self._variables:
            if variable.listed_trainable:
                variable.trainable = self._trainable
        for layer in self._sublayers():
            layer.trainable = value

    @property
    def trainable_weights(self):
        # As in Keras the weights inside go by their own word, not by what a model in this one was made with.
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self):
        trainable = set(map(id, self.trainable_weights))
        return [v for v in self.weights if id(v) not in trainable]

    trainable_variables = trainable_weights

    @property
    def non_trainable_variables(self):
        """As `non_trainable_weights`, of `variables`."""
        trainable = set(map(id, self.trainable_weights))
        return [v for v in self.variables if id(v) not in trainable]

    def get_weights(self):
        """Copies of the weights, a list of float32 arrays in the order of `weights`."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights):
        """Replaces the weights by arrays of the same shapes, in the order of `get_weights`; ValueError otherwise."""
        variables = self.weights
        if len(variables) != len(weights):
            raise ValueError(
                f"Layer '{self.name}' has {len(variables)} weights, set_weights got a list of {len(weights)}."
                + ("" if self.built else " The layer is not built yet: call it once, or build(input_shape).")
            )
        weights = [np.asarray(value) for value in weights]
        for variable, value in zip(variables, weights):
            if variable.shape != value.shape:
                raise ValueError(
                    f"Layer '{self.name}': weight '{variable.name}' has shape {variable.shape}, got {value.shape}."
                )
        with weight_locks.changing:  # a program that another thread makes has all of before, or all of these
            for variable, value in zip(variables, weights):
                variable.assign(value)

    def count_params(self):
        """Number of values in the weights. Raises ValueError before the layer is built."""
        if not self.built:
            raise ValueError(f"Layer '{self.name}' is not built yet, so it has no weights to count.")
        return sum(int(np.prod(v.shape)) for v in self.weights)

    def saved_tree(self):
        """Where Keras 3 keeps this layer's variables in a weights file: {"vars": [...], "children": {name: tree}}."""
        children = {}
        for key, value in self._children.items():
            attribute = getattr(self, key)
            if isinstance(attribute, Layer):
                children[key] = attribute.saved_tree()
            else:
                children[key] = {"layers": value}
        return {"vars": self._own_weights(), "children": children}

    @property
    def path(self):
        return self.name

    def packed(self, key, make):
        """`make()`, kept under `key` until a weight changes: weights in the layout a kernel wants are made once."""
        # Into the dict that was there before: a weight that changes meanwhile puts a new one in its place.
        packed = self._packed
        if key not in packed:
            packed[key] = make()
        return packed[key]

    def _weights_changed(self):
        object.__setattr__(self, "_packed", {})  # past our own, which takes 1 us: this comes after every training step
        self._users.clear()

    # ---- building ------------------------------------------------------------------------------------------------

    def build(self, input_shape):
        """Makes the weights for inputs of `input_shape`, batch size first. Layers without weights need no build."""
        self.built = True

    def _build_once(self, shapes):
        """shapes: dict of the tensor arguments' shapes by name, the first argument's first."""
        if self.built and not building.under_way:
            return
        with building.lock:
            if self.built:
                return
            before = self._variables[:]
            building.under_way.append(self)
            try:
                self._build_for(shapes)
                self._after_build()
            except BaseException:
                # The next call builds it anew, and not on top of the weights that are there already.
                self._variables[:] = before
                self.built = False
                raise
            finally:
                building.under_way.pop()

    def _build_for(self, shapes):
        names = [n for n in inspect.signature(self.build).parameters if n.endswith("_shape")]
        matching = {f"{key}_shape": shape for key, shape in shapes.items() if f"{key}_shape" in names}
        if len(names) > 1 and matching:
            self.build(**matching)
        else:
            self.build(next(iter(shapes.values())))
        self._build_shape = matching if len(matching) > 1 else next(iter(shapes.values()))

    def _after_build(self):
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def get_build_config(self):
        if self._build_shape is None:
            return None
        return (
            {"shapes_dict": self._build_shape}
            if isinstance(self._build_shape, dict)
            else {"input_shape": self._build_shape}
        )

    def build_from_config(self, config):
        if not config or self.built:
            return
        if "input_shape" in config:
            self.build(binding.tuples(config["input_shape"]))
            self._build_shape = binding.tuples(config["input_shape"])
        elif "shapes_dict" in config:
            shapes = {key: binding.tuples(value) for key, value in config["shapes_dict"].items()}
            self.build(**shapes)
            self._build_shape = shapes
        else:
            return
        self._after_build()

    # ---- calling -------------------------------------------------------------------------------------------------

    def _call_any(self, *args, **kwargs):
        """`__call__` (of _call.PlainCall) for what it does not find a program for at once."""
        if not kwargs and len(args) == 1 and not self._is_python and self._plain_argument is not None:
            # An array of the right dtype needs no binding and no conversion.
            if binding.is_ready(args[0], self._argument_dtypes(self._plain_argument)):
                return self._programs.run(self, {self._plain_argument: args[0]}, plain=True)
        arguments = binding.bind(self, args, kwargs)
        if is_symbolic(arguments):
            return self._call_symbolic(arguments)
        arguments = binding.convert(self, arguments)
        if self._is_python:
            return binding.run_python(self, arguments)
        return self._programs.run(self, arguments)

    @all_or_nothing
    def call(self, *args, **kwargs):
        """What the layer computes, on NumPy arrays. A subclass overrides it; here it runs the native layer."""
        arguments = binding.bind(self, args, kwargs)
        return self._programs.run(self, binding.convert(self, arguments))

    def _call_symbolic(self, arguments):
        # Imported here: models are made of layers.
        from fastseq.layers import mask_operations

        arguments = mask_operations.fill_masks(self, arguments)
        outputs = self.compute_output_spec(**arguments)
        node = Node(self, arguments, outputs)
        mask_operations.mark_outputs(node)
        return outputs

    def compute_output_spec(self, *args, **kwargs):
        """Symbolic outputs for symbolic inputs: shapes and dtypes, nothing computed. Builds the layer."""
        arguments = binding.bind(self, args, kwargs)
        shapes = binding.tensor_shapes(arguments, self)
        binding.check_input_spec(self, next(iter(arguments.values())))
        self._build_once(shapes)
        dtype = self._output_dtype(arguments)
        names = [n for n in inspect.signature(self.compute_output_shape).parameters if n.endswith("_shape")]
        matching = {f"{key}_shape": shape for key, shape in shapes.items() if f"{key}_shape" in names}
        if len(names) > 1 and matching:
            output_shape = self.compute_output_shape(**matching)
        else:
            output_shape = self.compute_output_shape(next(iter(shapes.values())))
        return nest.map_shapes(lambda shape: KerasTensor(shape, dtype), output_shape)

    def _output_dtype(self, arguments):
        return "float32"

    def _argument_dtypes(self, name):
        """The dtype the argument `name` is converted to, a list of them for its leaves, or None to keep its kind."""
        return None

    @property
    def _masks_are_kept(self):
        return self.supports_masking or type(self).compute_mask is not Layer.compute_mask

    def _keeps_masks(self, rules):
        """Whether its outputs have masks of its own making, or those of its inputs, under these MaskRules."""
        return self._masks_are_kept

    def compute_output_shape(self, input_shape):
        """Output shape (or a list of them) for an input shape; None stands for an unknown size.

        A user's layer that does not define it is run on zeros to find out.
        """
        if self._is_python:
            return binding.infer_output_shape(self, input_shape)
        if isinstance(input_shape, dict) or any(isinstance(size, (tuple, list, dict)) for size in input_shape):
            kind = "dict" if isinstance(input_shape, dict) else "list"
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) takes one tensor, got a {kind} of {len(input_shape)}."
            )
        return tuple(input_shape)

    def trace(self, p, arguments):
        """Adds this layer's work to the program `p`; `arguments` are bound call arguments with Slots as tensors."""
        binding.check_input_spec(self, next(iter(arguments.values())))
        self._build_once(binding.tensor_shapes(arguments, self))
        p.use(self)
        arguments, previous_mask = binding.fill_masks_and_training(self, p, arguments)
        if "mask" not in self._signature.parameters:
            arguments.pop("mask", None)  # of an explicit compute_mask()
        for part in nest.flatten(arguments.get("mask")):
            if part is not None and not hasattr(part, "shape"):
                raise ValueError(f"Layer '{self.name}' takes a tensor as its mask, got {str(part)[:100]!r}.")
        outer, p.layer_name = p.layer_name, self.name
        outputs = self.emit(p, **arguments)
        p.layer_name = outer
        flat = nest.flatten(outputs)
        if p.penalized:
            p.penalties += self._penalties_of(flat, p.timesteps)
        kept = self._keeps_masks(p.mask_rules)
        if not kept and p.mask_rules.explicit and any(mask is not None for mask in nest.flatten(previous_mask)):
            warnings.warn(
                f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input with a mask attached to it. "
                "However, this layer does not support masking and will therefore destroy the mask information.",
                stacklevel=2,
            )
        elif kept and not all(slot.mask is not None for slot in flat):
            masks = nest.flatten(self.emit_mask(p, next(iter(arguments.values())), previous_mask))
            outputs = nest.pack_like(outputs, [
                slot.with_mask(slot.mask or mask) for slot, mask in zip(flat, masks + [None] * (len(flat) - len(masks)))
            ])  # fmt: skip
        return outputs

    def emit(self, p, *args, **kwargs):
        """Adds the steps of this layer to the program `p` and returns the Slots of its outputs."""
        if not self._is_python:
            raise NotImplementedError(f"Layer '{self.name}' ({type(self).__name__}) must define call().")
        return binding.emit_python(self, p, kwargs)

    def emit_mask(self, p, inputs, mask):
        """The output's mask as a Slot (or a list of them), from the inputs' Slots and masks."""
        if self._is_python and type(self).compute_mask is not Layer.compute_mask:
            return binding.emit_python_mask(self, p, inputs, mask)
        return mask

    def compute_mask(self, inputs, previous_mask=None):
        """The output's mask (bool array, a list of them, or None) for arrays `inputs` and their masks."""
        return binding.run_mask(self, inputs, previous_mask)

    # ---- config --------------------------------------------------------------------------------------------------

    def get_config(self):
        config = {"name": self.name, "trainable": self.trainable, "dtype": self._policy.config()}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is Layer.get_config:
            config.update(binding.automatic_config(self))
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    @property
    def dtype(self):
        return "float32"

    compute_dtype = variable_dtype = dtype

    @property
    def dtype_policy(self):
        """The name of the layer's dtype policy: "float32", or the one of the file it comes from; see `policies`."""
        return self._policy.name

    @dtype_policy.setter
    def dtype_policy(self, policy):
        self._policy = policies.policy_of(policy, self.name)

    @property
    def input(self):
        """The symbolic input of the first call, or a list of them. Raises AttributeError where there is none."""
        return binding.ends_of_first_call(self, "input_tensors")

    @property
    def output(self):
        return binding.ends_of_first_call(self, "output_tensors")

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
