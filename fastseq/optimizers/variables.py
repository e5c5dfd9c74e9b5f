"""The variables of an optimizer: its state, one or more for each weight."""

import numpy as np

from fastseq.tensors.state_variable import StateVariable


class HoldsVariables:
    """Mixed into `Optimizer`, which has the lists: `_variables`, and `_indices`, id of a weight -> its number."""

    def _track(self, variable):
        self._variables.append(variable)
        return variable

    @property
    def variables(self):
        """The step count, the learning rate unless it is a schedule, then what `build` made, in Keras's order."""
        return self._variables[:]

    def add_variable(self, shape, initializer="zeros", dtype=None, name=None):
        """A new variable of the optimizer.

        Args:
            shape (tuple of int): Its shape.
            initializer (str, Initializer or function, default "zeros"): What it begins as.
            dtype (str, default None): None is float32.
            name (str, default None): Of the variable; None is "variable".

        Returns:
            A variable.
        """
        from fastseq import initializers

        value = initializers.get(initializer)(shape, dtype=dtype or "float32")
        name = name or "variable"
        return self._track(StateVariable(value, name, f"{self.name}/{name}", dtype or "float32"))

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros"):
        """A new variable of a weight's shape, named after it.

        Args:
            reference_variable (Variable): The weight.
            name (str, default None): What stands behind the weight's path; None is "var".
            initializer (str, Initializer or function, default "zeros"): What it begins as.

        Returns:
            A variable.
        """
        path = getattr(reference_variable, "path", reference_variable.name).replace("/", "_").replace(":", "_")
        return self.add_variable(tuple(reference_variable.shape), initializer, None, f"{path}_{name or 'var'}")

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """New variables, one for each weight and name, made weight by weight.

        Args:
            trainable_variables (list of Variable): The weights.
            name (str or list of str): What stands behind the weights' paths.
            initializer (str, Initializer or function, default "zeros"): What they begin as.

        Returns:
            A list of variables; for a list of names a tuple of lists.
        """
        names = [name] if isinstance(name, str) else list(name)
        rows = [
            [self.add_variable_from_reference(variable, word, initializer) for word in names]
            for variable in trainable_variables
        ]
        columns = tuple([row[i] for row in rows] for i in range(len(names)))
        return columns[0] if isinstance(name, str) else columns

    def _get_variable_index(self, variable):
        index = self._indices.get(id(variable))
        if index is None:
            raise ValueError(
                f"Unknown variable: {variable.path}. An optimizer serves the variables it was built with; make a new "
                "one for others."
            )
        return index

    def assign(self, variable, value):
        """Sets a weight, or a variable of the optimizer.

        Args:
            variable (Variable): What is set.
            value (array): Of its shape.
        """
        variable.assign(value)

    def assign_add(self, variable, value):
        """Adds to a weight, or a variable of the optimizer.

        Args:
            variable (Variable): What is set.
            value (array): Broadcasts to its shape.
        """
        variable.assign(np.asarray(variable) + value)

    def assign_sub(self, variable, value):
        """Subtracts from a weight, or a variable of the optimizer.

        Args:
            variable (Variable): What is set.
            value (array): Broadcasts to its shape.
        """
        variable.assign(np.asarray(variable) - value)
