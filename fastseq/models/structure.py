"""The inputs and outputs of a functional model, and what it is given in their place."""

import warnings

import numpy as np

from fastseq.tensors import arrays, nest


class Structure:
    """The inputs and outputs of a functional model, nested and flat."""

    def __init__(self, inputs, outputs):
        self.input_struct, self.output_struct = inputs, outputs
        self.inputs, self.outputs = nest.flatten(inputs), nest.flatten(outputs)
        #: The layers in the order of the file that they come from, where the graph that was read is another one than
        #: the file's: one function of TensorFlow may be several operations here, which counts in the layers' order.
        self.layers_as_made = None
        self._lone_rank = None if nest.is_nested(inputs) else len(inputs.shape)

    def check_outputs(self, graph):
        known = {id(tensor) for tensor in self.inputs}
        known.update(id(tensor) for node in graph.steps for tensor in node.output_tensors)
        for position, tensor in enumerate(self.outputs):
            if id(tensor) not in known:
                raise ValueError(f"Output {position} ({tensor}) is not connected to `inputs`.")

    def arrange(self, inputs, model_name):
        """`inputs` in the structure of the model's inputs: dicts are matched by name, a single input may stand alone.

        Raises ValueError where that cannot be done, naming the inputs.
        """
        if type(inputs) is np.ndarray and inputs.ndim == self._lone_rank:
            return inputs
        wanted = self.input_struct
        if isinstance(inputs, dict) and not isinstance(wanted, dict):
            inputs = self._by_name(inputs, model_name)
        if isinstance(wanted, dict) and not isinstance(inputs, dict):
            # Keras takes the inputs of a dict in the order of its keys, and only where that is their own order.
            if list(wanted) != sorted(wanted):
                self._mismatch(inputs, model_name)
        if not nest.is_nested(wanted) and isinstance(inputs, (list, tuple)) and len(inputs) == 1:
            inputs = inputs[0]
        if isinstance(inputs, dict):
            if not set(wanted) <= set(inputs):
                self._mismatch(inputs, model_name)
            _warn_of_extra(set(inputs) - set(wanted), model_name)
            inputs = {key: inputs[key] for key in wanted}
        flat = nest.flatten(inputs) if nest.is_nested(inputs) and _holds_arrays(inputs) else [inputs]
        if len(flat) != len(self.inputs):
            self._mismatch(inputs, model_name)
        for tensor, leaf in zip(self.inputs, flat):
            if leaf is None:
                raise ValueError(f"Model '{model_name}': its input '{tensor.name}' is not optional, but got None.")
        flat = [self._fix_rank(leaf, tensor) for leaf, tensor in zip(flat, self.inputs)]
        return nest.pack_like(wanted, flat)

    def _by_name(self, inputs, model_name):
        found, used = [], set()
        for tensor in self.inputs:
            names = (tensor.name, tensor._keras_history[0].name)
            name = next((name for name in names if name in inputs), None)
            if name is None:
                raise ValueError(
                    f"Model '{model_name}' has an input '{names[1]}' that is not among the given {sorted(inputs)}."
                )
            found.append(inputs[name])
            used.add(name)
        _warn_of_extra(set(inputs) - used, model_name)
        return found[0] if not nest.is_nested(self.input_struct) else nest.pack_like(self.input_struct, found)

    def _mismatch(self, inputs, model_name):
        wanted = nest.map_structure(lambda tensor: tensor.name, self.input_struct)
        got = nest.map_structure(lambda leaf: getattr(leaf, "shape", type(leaf).__name__), inputs)
        raise ValueError(
            f"The structure of `inputs` doesn't match that of model '{model_name}'. Expected: {wanted}. "
            f"Received (shapes): {got}."
        )

    @staticmethod
    def _fix_rank(leaf, tensor):
        """An array with one size-1 axis more or less at the end than the input has; Keras takes both."""
        shape = getattr(leaf, "shape", None)
        if not isinstance(leaf, np.ndarray) or len(shape) == len(tensor.shape):
            return leaf
        mask = arrays.mask_of(leaf)
        if len(shape) == len(tensor.shape) + 1 and shape[-1] == 1:
            leaf = arrays.with_mask(leaf[..., 0], mask)
        elif len(shape) == len(tensor.shape) - 1 and tensor.shape[-1] == 1:
            leaf = arrays.with_mask(leaf[..., np.newaxis], mask)
        return leaf

    def check_shapes(self, flat, model, batch=False, ranks_only=False):
        """Raises ValueError where a tensor does not fit its input. batch: compare the batch size too."""
        for leaf, tensor in zip(flat, self.inputs):
            shape, wanted = tuple(leaf.shape), tensor.shape
            pairs = [] if ranks_only else list(zip(shape, wanted))[0 if batch else 1 :]
            if len(shape) != len(wanted) or any(None not in pair and pair[0] != pair[1] for pair in pairs):
                raise ValueError(
                    f"{type(model).__name__} model '{model.name}' was passed incompatible inputs. For input "
                    f"'{tensor.name}', expected shape {wanted}, but received shape {shape}."
                )


def _warn_of_extra(names, model_name):
    if names:
        warnings.warn(f"Model '{model_name}' has no inputs named {sorted(names)}: they are not used.", stacklevel=5)


def _holds_arrays(structure):
    """False for nested lists of plain numbers: one array written out."""
    return any(hasattr(leaf, "shape") or leaf is None for leaf in nest.flatten(structure))
