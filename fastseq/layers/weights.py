"""What a layer holds: weights, other layers, and what was made of the weights."""

import numpy as np

from fastseq import activations, constraints, initializers, regularizers
from fastseq.layers import traced_calls, walk
from fastseq.tensors import nest, weight_locks
from fastseq.tensors.naming import auto_name
from fastseq.tensors.variable import Variable
from fastseq.tensors.weight_budget import initial_value

_NOT_TRACED = ("built", "input_spec")
_OF_WEIGHTS = ("units", "use_bias", "reset_after", "input_dim", "output_dim")
changes = [0]  # how often an attribute of a built layer was set: what a training program was made of


class HoldsWeights:
    """Mixed into `Layer`. What it finds in attributes and is of this class is a layer inside."""

    _walked = None  # what walk.py remembers

    def __new__(cls, *args, **kwargs):
        layer = super().__new__(cls)
        object.__setattr__(layer, "_children", {})
        return layer

    def add_weight(
        self, shape=None, initializer=None, dtype=None, trainable=True, autocast=True, regularizer=None,
        constraint=None, aggregation="none", overwrite_with_gradient=False, name=None,
    ):  # fmt: skip
        """Adds a weight to the layer.

        Args:
            shape (tuple of int, default None): None is (), a single number.
            initializer (str, dict or Initializer, default None): What it begins as; None is "glorot_uniform".
            dtype (str, default None): None or "float32".
            trainable (bool, default True): Whether training changes it.
            autocast (bool, default True): Accepted, without effect.
            regularizer (str, dict or Regularizer, default None): Penalty on it in training; None is none.
            constraint (str, dict or Constraint, default None): Applied to it after each step of training; None is none.
            aggregation (str, default "none"): "none" or None.
            overwrite_with_gradient (bool, default False): False only.
            name (str, default None): The last part of its path; None makes one.

        Returns:
            The new `Variable`.

        Raises:
            ValueError: A dtype other than float32, a shape with unknown or negative sizes, and options that are not
                supported.
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

    # Whether programs depend on what users may set; a model's depend on its layers' alone, unless its call is traced.
    _traced_attributes = True

    @property
    def _programs_depend(self):
        return self._traced_attributes or self.__dict__.get("_is_python", False)

    def __setattr__(self, key, value):
        if key[0] != "_" and key not in _NOT_TRACED and self.__dict__.get("built") and self._programs_depend:
            value = self._changed_attribute(key, value)
        # Layers held in attributes, or in lists and dicts in attributes, are sublayers: their weights are ours.
        others = key in ("built", "stateful")  # a Sequential is not `built` any more once it gets or loses a layer
        if key != "_inbound_nodes" and not isinstance(value, (np.ndarray, str)):
            found = [leaf for leaf in nest.flatten(value) if isinstance(leaf, HoldsWeights)]
            if found:
                self._children[key] = found
                others = True
            elif self._children.pop(key, None) is not None:
                others = True
        object.__setattr__(self, key, value)
        if others:
            walk.structure_changed()

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
        if self._is_python:  # its call() reads it anew, but what was traced of it has the value from before
            if value is not before and traced_calls.attribute_set(self, key):
                self._weights_changed()
                changes[0] += 1
            return value
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
        """Whether training changes the weights; setting it sets that of the layers inside too."""
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
        """The weights that training changes, in the order of `weights`; none where the layer itself is frozen."""
        # As in Keras the weights inside go by their own word, not by what a model in this one was made with.
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self):
        """The weights that training does not change, in the order of `weights`."""
        trainable = set(map(id, self.trainable_weights))
        return [v for v in self.weights if id(v) not in trainable]

    trainable_variables = trainable_weights

    @property
    def non_trainable_variables(self):
        """As `non_trainable_weights`, of `variables`."""
        trainable = set(map(id, self.trainable_weights))
        return [v for v in self.variables if id(v) not in trainable]

    def get_weights(self):
        """Copies of the weights.

        Returns:
            list of float32 arrays in the order of `weights`.
        """
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights):
        """Replaces the weights.

        Args:
            weights (list of array): Of the same shapes, in the order of `get_weights`.

        Raises:
            ValueError: Another number of arrays, or other shapes.
        """
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
        """Number of values in the weights.

        Returns:
            int.

        Raises:
            ValueError: Before the layer is built.
        """
        if not self.built:
            raise ValueError(f"Layer '{self.name}' is not built yet, so it has no weights to count.")
        return sum(int(np.prod(v.shape)) for v in self.weights)

    def saved_tree(self):
        """Where Keras 3 keeps this layer's variables in a weights file.

        Returns:
            dict {"vars": list of Variable, "children": {name: such a dict}}.
        """
        children = {}
        for key, value in self._children.items():
            attribute = getattr(self, key)
            if isinstance(attribute, HoldsWeights):
                children[key] = attribute.saved_tree()
            else:
                children[key] = {"layers": value}
        return {"vars": self._own_weights(), "children": children}

    def packed(self, key, make):
        """`make()`, kept under `key` until a weight changes: weights in the layout a kernel wants are made once.

        Args:
            key (str): What is packed.
            make (function): Packs it.

        Returns:
            What `make` gave.
        """
        # Into the dict that was there before: a weight that changes meanwhile puts a new one in its place.
        packed = self._packed
        if key not in packed:
            packed[key] = make()
        return packed[key]

    def _weights_changed(self):
        object.__setattr__(self, "_packed", {})  # past our own, which takes 1 us: this comes after every training step
        self._users.clear()
