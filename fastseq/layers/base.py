"""The base of every layer: config, building, and the three ways of calling it (eager, symbolic, inside a program).

A layer says what it computes in one method:

- a native layer defines `emit(self, p, <call arguments>)`, which adds native steps to the program `p`. Tensors are
  `program.Slot`s there, with a concrete shape, a dtype and perhaps a mask.
- a user's layer defines `call(self, <call arguments>)` on NumPy arrays, as in Keras. In a model it becomes a step that
  takes the GIL back.

What a layer holds is in weights.py, how its arguments are bound and converted in binding.py, and what runs a Python
layer in python_calls.py. See https://keras.io/api/layers/base_layer/ for the public surface.
"""

import warnings

from fastseq import regularizers
from fastseq.configs import policies
from fastseq.layers import arguments as constructor_arguments
from fastseq.layers import base_calls, binding, building, mask_operations, python_calls, time_axis, traced_calls
from fastseq.layers.adds_losses import AddsLosses
from fastseq.layers.copied import Copied
from fastseq.layers.weights import HoldsWeights
from fastseq.native import _call
from fastseq.native.kept_states import all_or_nothing
from fastseq.program.cache import ProgramCache, ProgramUsers
from fastseq.tensors import catch_alls, nest, weight_locks
from fastseq.tensors.operation import Operation
from fastseq.tensors.symbolic import KerasTensor, is_symbolic


class Layer(AddsLosses, Copied, HoldsWeights, _call.PlainCall, Operation):
    """Base class of layers; subclass it to write your own.

    A subclass defines `call` and, where it has weights, `build(input_shape)` with `add_weight`; `compute_output_shape`
    (else `call` is tried), `compute_mask`, `get_config` as in Keras. A `call` that computes with `fastseq.ops`, NumPy's
    functions and operators is traced once: native steps and their gradients. Any other runs in Python, on arrays, and
    is trained with `backward(gradient, *inputs)`: from the gradient by its output, an argument for each output, those
    by its float inputs and then by its `trainable_weights`: a list where there are several. Of losses see `add_loss`.

    Args:
        *args: None are taken.
        **kwargs: `activity_regularizer` (penalty on the output in training), `trainable` (bool, default True), `dtype`
            (float32, or a policy that is kept for files), `autocast` (kept), `name` (str; None makes one), and the
            older `input_shape`, `input_dim`, `batch_input_shape` and `weights`.

    Raises:
        ValueError: An unknown keyword argument, a dtype other than float32, and a `trainable` that is no bool.

    Example:
        >>> class Scale(layers.Layer):
        ...     def build(self, input_shape):
        ...         self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
        ...     def call(self, x):
        ...         return x * self.scale
        >>> layer = Scale()
        >>> layer(np.array([[1.0, 2.0]]))
        array([[1., 2.]], dtype=float32)
        >>> layer.set_weights([[3.0, 4.0]])
        >>> layer.get_weights(), layer.count_params(), layer.compute_output_shape((None, 2))
        ([array([3., 4.], dtype=float32)], 2, (None, 2))
    """

    supports_masking = False
    tells_what_is_set = True
    #: Whether a `call` of Python may be traced into native steps; False where its effects are wanted at every call.
    traced = True
    _within = None  # the path of the layer that made it for itself, as an attention layer its products
    _takes_several = False  # whether the first argument may be a list or a dict of tensors

    def __new__(cls, *args, **kwargs):
        layer = super().__new__(cls)
        object.__setattr__(layer, "_constructor_arguments", (args, kwargs))
        return layer

    def __init__(self, *, activity_regularizer=None, trainable=True, dtype=None, autocast=True, name=None, **kwargs):
        if not isinstance(trainable, bool):
            raise ValueError(f"`trainable` must be a boolean, got {trainable!r}.")
        Operation.__init__(self, name)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._policy = policies.policy_of(dtype, self.name)
        self.autocast = autocast
        self._trainable = trainable
        self._input_shape_arg = constructor_arguments.pop_input_shape(kwargs)
        self._initial_weights = kwargs.pop("weights", None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}")
        self.built = False
        self.input_spec = None
        self._build_shape = None
        self._variables = []
        self._packed = {}
        self._traces = traced_calls.Traces()
        self._programs = ProgramCache()
        self._users = ProgramUsers(self._programs)
        self._is_python = type(self).call is not Layer.call
        self._is_native = not self._is_python and type(self).emit is not Layer.emit
        self._signature = binding.call_signature(self)
        self._rest_argument = catch_alls.name_of(self._signature)
        self._plain_argument = binding.only_required(self._signature)

    @property
    def path(self):
        """The layer's name, with which the paths of its weights begin; behind that of the layer that made it."""
        return f"{self._within}/{self.name}" if self._within else self.name

    # ---- building ------------------------------------------------------------------------------------------------

    def build(self, input_shape):
        """Makes the weights for inputs of a shape. Layers without weights need no build.

        Args:
            input_shape (tuple): Batch size first; None stands for an unknown size.
        """
        self.built = True

    def _build_once(self, shapes):
        """shapes: dict of the tensor arguments' shapes by name, the first argument's first."""
        if self.built and not building.under_way:
            return
        with weight_locks.building:
            if self.built:
                return
            before, outer = self._variables[:], len(building.under_way)
            try:
                building.under_way.append(self)
                self._build_for(shapes)
                self._after_build()
            except BaseException:
                # The next call builds it anew, and not on top of the weights that are there already.
                self._variables[:] = before
                self.built = False
                raise
            finally:
                del building.under_way[outer:]

    def _build_for(self, shapes):
        matching, first = catch_alls.shapes_for(self, self.build, shapes)
        self.build(**matching) if matching else self.build(first)
        self._build_shape = matching if len(matching) > 1 else first

    def _after_build(self):
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def get_build_config(self):
        """What `build_from_config` takes to build the layer of a file.

        Returns:
            dict, or None for a layer that is not built.
        """
        if self._build_shape is None:
            return None
        return (
            {"shapes_dict": self._build_shape}
            if isinstance(self._build_shape, dict)
            else {"input_shape": self._build_shape}
        )

    def build_from_config(self, config):
        """Builds the layer as `get_build_config` of another one says, if it is not built yet.

        Args:
            config (dict): "input_shape", or "shapes_dict" for several inputs; others are passed over.
        """
        if not config or self.built:
            return
        if "input_shape" in config:
            self.build(constructor_arguments.tuples(config["input_shape"]))
            self._build_shape = constructor_arguments.tuples(config["input_shape"])
        elif "shapes_dict" in config:
            shapes = {key: constructor_arguments.tuples(value) for key, value in config["shapes_dict"].items()}
            self.build(**shapes)
            self._build_shape = shapes
        else:
            return
        self._after_build()

    # ---- calling -------------------------------------------------------------------------------------------------

    def _call_any(self, *args, **kwargs):
        """`__call__` (of _call.PlainCall) for what it does not find a program for at once."""
        if traced_calls.is_tracing() and traced_calls.belongs_to_trace(args, kwargs):
            return traced_calls.call_layer(self, args, kwargs)
        way = self._way_of(args, kwargs)
        if way is not None and not kwargs and not self._is_python:
            # An array of the right dtype needs no binding and no conversion.
            return self._programs.run(self, {self._plain_argument: args[0]}, way=way)
        arguments = binding.bind(self, args, kwargs)
        if is_symbolic(arguments):
            return self._call_symbolic(arguments)
        arguments = binding.convert(self, arguments)
        if self._is_python:
            return traced_calls.run_alone(self, arguments, way)
        return self._programs.run(self, arguments, way=way)

    def _way_of(self, args, kwargs):
        """The number of the short way (_call.pyx) that such a call may take once its program is there, or None."""
        if self._plain_argument is None or (self._is_python and self._traces.calls_python):
            return None
        way, x, mask = _call.way_of(self, args, kwargs)
        if way is None or not binding.is_ready(x, self._argument_dtypes(self._plain_argument)):
            return None
        return way if mask is None or mask.dtype == bool else None

    @all_or_nothing
    def call(self, *args, **kwargs):
        """What the layer computes, on NumPy arrays. A subclass overrides it; here it runs the native layer.

        Args:
            *args: The layer's inputs, float32 arrays as a rule.
            **kwargs: Further arguments of the call, `mask` and `training` among them.

        Returns:
            An array, or a nest of them.

        Raises:
            ValueError: Inputs that do not fit.
        """
        return base_calls.run(self, args, kwargs)

    def _call_symbolic(self, arguments):
        node = self._record(mask_operations.fill_masks(self, arguments))
        mask_operations.mark_outputs(node)
        return node.outputs

    def compute_output_spec(self, *args, **kwargs):
        arguments = binding.bind(self, args, kwargs)
        shapes = binding.tensor_shapes(arguments, self)
        binding.check_input_spec(self, next(iter(arguments.values())))
        self._build_once(shapes)
        dtype = self._output_dtype(arguments)
        if self._is_python and type(self).compute_output_shape is Layer.compute_output_shape:
            output_shape = traced_calls.output_shape(self, arguments)
        else:
            matching, first = catch_alls.shapes_for(self, self.compute_output_shape, shapes)
            output_shape = self.compute_output_shape(**matching) if matching else self.compute_output_shape(first)
        return nest.map_shapes(lambda shape: KerasTensor(shape, dtype), output_shape)

    def _output_dtype(self, arguments):
        return "float32"

    @property
    def _computes_masks(self):
        """Whether its class defines compute_mask()."""
        return type(self).compute_mask is not Layer.compute_mask

    @property
    def _hands_on_masks(self):
        """Whether its output's mask is that of its one input."""
        return self.supports_masking and not self._computes_masks and type(self).emit_mask is Layer.emit_mask

    @property
    def _masks_are_kept(self):
        return self.supports_masking or self._computes_masks

    def _keeps_masks(self, rules):
        """Whether its outputs have masks of its own making, or those of its inputs, under these MaskRules."""
        return self._masks_are_kept

    def compute_output_shape(self, input_shape):
        """Output shape for an input shape. A user's layer that does not define it is run on zeros to find out.

        Args:
            input_shape (tuple): Batch size first; None stands for an unknown size.

        Returns:
            tuple, or a list of them for several outputs.

        Raises:
            ValueError: Shapes of several inputs for a layer of one.
        """
        if self._is_python:
            inputs = nest.map_shapes(KerasTensor, input_shape)
            return traced_calls.output_shape(self, catch_alls.first_argument(self, inputs))
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
        if not catch_alls.takes_keyword(self._signature, "mask"):
            arguments.pop("mask", None)  # of an explicit compute_mask()
        for part in nest.flatten(arguments.get("mask")):
            if part is not None and not hasattr(part, "shape"):
                raise ValueError(f"Layer '{self.name}' takes a tensor as its mask, got {str(part)[:100]!r}.")
        outer, p.layer_name = p.layer_name, self.name
        outputs = base_calls.emit(self, p, arguments)
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
        return traced_calls.emit(self, p, kwargs)

    def emit_mask(self, p, inputs, mask):
        """The output's mask as a Slot (or a list of them), from the inputs' Slots and masks."""
        if not self._is_python or not self._computes_masks:
            return mask
        return traced_calls.emit_mask(self, p, inputs, mask)

    def compute_mask(self, inputs, previous_mask=None):
        """The output's mask for arrays.

        Args:
            inputs (array or nest): The first argument.
            previous_mask (array or nest, default None): Its masks; None is none.

        Returns:
            bool array, a list of them, or None.
        """
        return python_calls.run_mask(self, inputs, previous_mask)

    def symbolic_mask(self, inputs, masks, ops, rules):
        """The outputs' masks, as Keras's compute_mask makes them for a symbolic call.

        Args:
            inputs (list of KerasTensor): The tensors of the first argument.
            masks (list): Their masks, in whatever form `ops` has them; None stands for no mask.
            ops: What masks are computed with: see mask_operations.
            rules (MaskRules): Those of the call.

        Returns:
            A list of masks that may be shorter than the outputs; None stands for no mask, and for one that only a run
            can tell. By default the input's is handed on where the layer supports masking.
        """
        return masks[:1] if self._hands_on_masks and len(inputs) == 1 else []

    # ---- time ----------------------------------------------------------------------------------------------------

    def keeps_time(self, timed, shapes, arguments):
        """Whether axis 1 of the first output is time; time_axis.py says of what. By default nobody knows."""
        time_axis.refuse(self, "what it does with the timesteps is not known")

    def last_output(self, memory):
        """Of a layer with states: the Slot of what it put out at the timestep before, which a masked one repeats.

        memory: a streaming.plan.Memory. None where a masked timestep gives zeros.
        """
        return None

    # ---- config --------------------------------------------------------------------------------------------------

    def get_config(self):
        config = {"name": self.name, "trainable": self.trainable, "dtype": self._policy.config()}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is Layer.get_config and type(self).__init__ is not Layer.__init__:
            config.update(constructor_arguments.automatic_config(self))
        return config

    @property
    def dtype(self):
        """What it computes in, "float32"."""
        return "float32"

    compute_dtype = variable_dtype = dtype

    @property
    def dtype_policy(self):
        """The name of the layer's dtype policy: "float32", or the one of the file it comes from; see `policies`."""
        return self._policy.name

    @dtype_policy.setter
    def dtype_policy(self, policy):
        self._policy = policies.policy_of(policy, self.name)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
