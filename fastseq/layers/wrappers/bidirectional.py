"""Bidirectional wrapper (Schuster & Paliwal 1997); see https://keras.io/api/layers/recurrent_layers/bidirectional/."""

from fastseq.configs import policies
from fastseq.configs.registry import CustomObjectScope, scope_objects
from fastseq.configs.serialization import deserialize_keras_object, serialize_keras_object
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.recurrent.over_time import Recurrent
from fastseq.native.kept_states import all_or_nothing

_MERGES = {"sum": "add", "mul": "multiply", "ave": "add"}


def _without(prefix, name):
    return name[len(prefix) :] if name.startswith(prefix) else name


def _renamed(layer, prefix, **changes):
    """A fresh layer of the same configuration whose name starts with `prefix`."""
    config = {**layer.get_config(), "name": prefix + _without(prefix, layer.name), **changes}
    # The classes of the user's own in it, an RNN's cell for one, are known here, registered or not.
    with CustomObjectScope({**scope_objects(), **_users_classes(layer)}), policies.reading(quiet=True):
        return type(layer).from_config(config)


def _users_classes(layer):
    found = {name: cls for part in layer._sublayers() for name, cls in _users_classes(part).items()}
    cls = type(layer)
    return found if cls.__module__.startswith("fastseq.") else {**found, cls.__name__: cls}


class Bidirectional(Layer):
    """Runs a recurrent layer forwards and a copy of it (or `backward_layer`) backwards, at the same time.

    Call: `layer(sequences, initial_state=None, mask=None, training=None)`; initial_state holds the forward layer's
    states, then the backward layer's. A layer with unroll=True gives what it gives without, also where Keras's does
    not: see `OverTime`, of masks. Source: Schuster and Paliwal 1997.

    Args:
        layer (Layer): A recurrent layer, or one that has what a recurrent layer has: `go_backwards`, `return_sequences`
            and the like.
        merge_mode (str, default "concat"): "concat", "sum", "ave", "mul", or None for both outputs.
        weights (list, default None): Weights to begin with; None leaves them to the initializers.
        backward_layer (Layer, default None): What runs backwards, with go_backwards other than `layer` has; None copies
            `layer`.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Layers that do not fit together, and another merge_mode.

    Example:
        >>> layers.Bidirectional(layers.LSTM(4))(np.zeros((2, 5, 3))).shape
        (2, 8)
    """

    supports_masking = True

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        for given in (layer, backward_layer):
            if not isinstance(given, Layer) and not (given is None and given is backward_layer):
                raise ValueError(f"Bidirectional takes layers, got {given!r}.")
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ValueError(f"merge_mode must be 'sum', 'mul', 'ave', 'concat' or None, got {merge_mode!r}.")
        for name in ("go_backwards", "return_sequences", "return_state", "stateful"):
            if not hasattr(layer, name):
                raise ValueError(f"Bidirectional takes a recurrent layer, {layer.name!r} has no attribute {name!r}.")
        super().__init__(**kwargs)
        self.forward_layer = _renamed(layer, "forward_")
        if backward_layer is None:
            self.backward_layer = _renamed(layer, "backward_", go_backwards=True)
        else:
            self.backward_layer = backward_layer
        self._check_pair()
        for direction in (self.forward_layer, self.backward_layer):
            if hasattr(direction, "zero_output_for_mask"):
                # As in Keras: outputs repeated over one direction's padding would reach the other direction's sequence.
                direction.zero_output_for_mask = direction.return_sequences
        self.merge_mode = merge_mode
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.input_spec = layer.input_spec
        self._initial_weights = weights

    def _check_pair(self):
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "The forward and the backward layer must differ in `go_backwards`, both have "
                f"go_backwards={forward.go_backwards}."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(
                    f"The forward and the backward layer must agree in `{name}`, got {getattr(forward, name)} and "
                    f"{getattr(backward, name)}."
                )

    def keeps_time(self, timed, shapes, arguments):
        time_axis.refuse(self, "its backward half starts at the last timestep")

    def symbolic_mask(self, inputs, masks, ops, rules):
        return masks[:1] * (1 if self.merge_mode else 2) if self.return_sequences else []

    def build(self, sequences_shape, initial_state_shape=None):
        self.forward_layer._build_once({"sequences": sequences_shape})
        self.backward_layer._build_once({"sequences": sequences_shape})
        self.built = True

    @property
    def states(self):
        """The kept states of the forward and the backward layer, a tuple; None where they keep none."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return tuple(forward + backward) if forward and backward else None

    @all_or_nothing
    def reset_state(self):
        """Sets the kept states of both stateful directions to zeros.

        Raises:
            AttributeError: A layer that is not stateful.
        """
        if not self.stateful:
            raise AttributeError(f"Layer '{self.name}' is not stateful.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        shapes = [layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)]
        states = [state for shape in shapes for state in shape[1:]] if self.return_state else []
        forward, backward = (shape[0] if self.return_state else shape for shape in shapes)
        if self.merge_mode == "concat":
            outputs = [(*forward[:-1], forward[-1] + backward[-1])]
        else:
            outputs = [forward] if self.merge_mode else [forward, backward]
        return [*outputs, *states] if len(outputs) + len(states) > 1 else outputs[0]

    def compute_output_spec(self, *args, **kwargs):
        outputs = super().compute_output_spec(*args, **kwargs)
        return tuple(outputs) if isinstance(outputs, list) else outputs

    def _output_masks(self, mask):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        kept = mask if self.return_sequences else None
        masks = [kept] if self.merge_mode else [kept, kept]
        if self.return_state:
            masks += [None] * sum(layer.state_count for layer in (self.forward_layer, self.backward_layer))
        return masks if len(masks) > 1 else masks[0]

    def emit_mask(self, p, sequences, mask):
        return self._output_masks(mask)

    def compute_mask(self, sequences, mask=None):
        return self._output_masks(mask)

    # ---- running -------------------------------------------------------------------------------------------------

    def emit(self, p, sequences, initial_state=None, mask=None, training=None):
        states = [None, None]
        if initial_state is not None:
            half = len(initial_state) // 2
            states = [list(initial_state[:half]), list(initial_state[half:])]
        layers = (self.forward_layer, self.backward_layer)
        native = all(isinstance(layer, Recurrent) for layer in layers)
        # A direction is penalized for its own output, which `_run_native` does not have as an array of its own.
        penalized = p.trains and any(layer.activity_regularizer is not None for layer in layers)
        run = self._run_native if native and not penalized else self._run_any
        outputs, final = run(p, sequences, states, mask, training)
        if self.merge_mode in _MERGES:
            merged = p.binary(_MERGES[self.merge_mode], *outputs)
            outputs = [p.affine(merged, 0.5, 0.0) if self.merge_mode == "ave" else merged]
        results = [*outputs, *(final if self.return_state else ())]
        return tuple(results) if len(results) > 1 else results[0]

    def _run_native(self, p, sequences, states, mask, training):
        """Both directions side by side, the backward one writing in the order of time; concat needs no copy."""
        batch, time, _ = sequences.shape
        layers = (self.forward_layer, self.backward_layer)
        concat = self.merge_mode == "concat"
        total = sum(layer.units for layer in layers)
        shape = (batch, time) if self.return_sequences else (batch,)
        both = p.new((*shape, total)) if concat else None
        sequences = p.float32(sequences)
        outputs, steps, final = [], [], []
        for layer, state, first_unit in zip(layers, states, (0, layers[0].units)):
            p.layer_name = f"{self.name}/{layer.name}"
            p.use(layer)
            width = total if concat else layer.units
            y = both if concat else p.new((*shape, layer.units))
            row = time * width if self.return_sequences else width
            backward = layer is self.backward_layer and self.return_sequences
            start = (first_unit if concat else 0) + ((time - 1) * width if backward else 0)
            step, last = layer.direction(
                p, sequences, state, mask, training, y.at(start), row, -width if backward else width
            )
            outputs.append(y)
            steps.append(step)
            final += last
        steps[0](with_next=True)
        steps[1]()
        p.layer_name = self.name
        outputs = [both] if concat else outputs
        self._note_directions(p, outputs, final)
        return outputs, final

    def _note_directions(self, p, outputs, final):
        """The penalties of the two directions: of a copy of each one's output, in that direction's order of time."""
        split = self.forward_layer.state_count
        for layer, first_unit, states in (
            (self.forward_layer, 0, final[:split]),
            (self.backward_layer, self.forward_layer.units, final[split:]),
        ):
            if not p.penalized or layer.activity_regularizer is None:
                continue
            turned = layer is self.backward_layer
            y = outputs[0].at(first_unit) if self.merge_mode == "concat" else outputs[turned]
            batch, *time, width = y.shape
            strides = [-width if turned else width for _ in time]
            start = y.at((time[0] - 1) * width) if turned and time else y
            row = width * (time[0] if time else 1)
            own = p.contiguous_copy(start, (batch, *time, layer.units), (row, *strides, 1))
            p.penalties += layer._penalties_of([own, *(states if self.return_state else ())], p.timesteps)

    def _run_any(self, p, sequences, states, mask, training):
        """Any recurrent layers, the user's own too: each traced by itself, the backward one's output reversed after."""
        outputs, final = [], []
        for layer, state in zip((self.forward_layer, self.backward_layer), states):
            arguments = {next(iter(layer._signature.parameters)): sequences}
            for name, value in (("initial_state", state), ("mask", mask), ("training", training)):
                if value is not None and name in layer._signature.parameters:
                    arguments[name] = value
            result = layer.trace(p, arguments)
            y, *last = result if isinstance(result, (list, tuple)) else [result]
            if layer is self.backward_layer and self.return_sequences:
                _, time, units = y.shape
                y = p.contiguous_copy(y.at((time - 1) * units), y.shape, (time * units, -units, 1))
            outputs.append(y)
            final += last
        if self.merge_mode == "concat":
            outputs = [p.concatenate(outputs, -1)]
        return outputs, final

    # ---- config --------------------------------------------------------------------------------------------------

    def get_config(self):
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["layer"] = deserialize_keras_object(config["layer"], custom_objects=custom_objects)
        if config.get("backward_layer") is not None:
            config["backward_layer"] = deserialize_keras_object(config["backward_layer"], custom_objects=custom_objects)
        return cls(**config)
