"""What optimizers put into files and copies, and take from them."""

import warnings

import numpy as np

from fastseq.configs import serialization
from fastseq.optimizers import schedules
from fastseq.tensors.copyable import Copyable
from fastseq.tensors.state_variable import StateVariable

# 2^53: from there on float64 does not count every step.
_MOST_STEPS = 1 << 53


class Saved(Copyable):
    """Mixed into `Optimizer`."""

    # For a copy that is not built: (what save_own_variables() gave, number of variables before build()).
    _waiting = None

    def set_weights(self, weights):
        """Replaces the values of `variables`.

        Args:
            weights (list of array): One for each variable, of its shape.

        Raises:
            ValueError: Other shapes, and an optimizer that is not built.
        """
        if not self.built:
            raise ValueError("set_weights() needs an optimizer that was built: build(variables).")
        for variable, weight in zip(self._variables, weights):
            variable.assign(weight)

    def save_own_variables(self, store):
        """Puts the value of every variable into a mapping, as Keras's files hold them.

        Args:
            store (dict): Gets "0", "1" ... -> array.
        """
        for index, variable in enumerate(self._variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store):
        """Takes the values from such a mapping; warns and changes nothing where it has another number of them.

        Args:
            store (dict): "0", "1" ... -> array.

        Raises:
            ValueError: Other shapes, what is no number, and a step count that no training can have; nothing has changed
                then.
        """
        if len(store.keys()) != len(self._variables):
            warnings.warn(
                self._not_taken(
                    f"it has {len(store.keys())} variables, the optimizer {len(self._variables)}"
                    + ("." if self.built else ", and is not built yet.")
                ),
                stacklevel=2,
            )
            return
        values = [np.asarray(store[str(index)]) for index in range(len(self._variables))]
        for variable, value in zip(self._variables, values):
            if variable.shape != value.shape:
                raise ValueError(f"Variable '{variable.path}' has shape {variable.shape}, the saved one {value.shape}.")
            whole = variable.dtype == "int64"
            if value.dtype.kind not in ("iu" if whole else "fiu"):
                raise ValueError(f"Variable '{variable.path}' is {variable.dtype}, the saved one {value.dtype}.")
            if variable is self._iterations and not 0 <= int(value) <= _MOST_STEPS:
                raise ValueError(f"Variable '{variable.path}' counts steps, and no training has {int(value)}.")
        for variable, value in zip(self._variables, values):
            variable.assign(value)
        self._waiting = None

    def _not_taken(self, reason):
        """The message that a saved state does not become this optimizer's."""
        now = "goes on with its own" if int(self._iterations) else "starts anew"
        return f"The saved state of optimizer '{self.name}' was not taken over, it {now}: {reason}"

    def get_config(self):
        """The arguments that make another one like it; schedules as their configs.

        Returns:
            dict, as `from_config` takes it.
        """
        rate = self._learning_rate
        is_number = isinstance(rate, StateVariable)
        return {
            "name": self.name,
            "learning_rate": float(rate) if is_number else serialization.serialize_keras_object(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """An optimizer of these arguments.

        Args:
            config (dict): What `get_config` gives.
            custom_objects (dict, default None): Name -> class of a schedule of your own, beside the registered ones.

        Returns:
            An Optimizer.
        """
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = schedules.deserialize(config["learning_rate"], custom_objects)
        return cls(**config)

    # ---- copies --------------------------------------------------------------------------------------------------

    def build_for(self, variables):
        """`build(variables)` where that is still to be done; then a copy takes what the other one had by then."""
        if not self.built:
            self.build(variables)
        if self._waiting is not None:
            (store, _), self._waiting = self._own_waiting(), None
            try:
                self.load_own_variables(store)
            except ValueError as error:
                warnings.warn(self._not_taken(str(error)), stacklevel=3)

    def take_over(self, store):
        """Takes what `save_own_variables` gave; a copy that is not built yet takes the rest of it when it is."""
        if self.built or len(store) == len(self._variables):
            self.load_own_variables(store)
            return
        for index, variable in enumerate(self._variables):
            if str(index) in store and np.shape(store[str(index)]) == variable.shape:
                variable.assign(store[str(index)])
        self._waiting = {key: np.array(value) for key, value in store.items()}, len(self._variables)

    def _own_waiting(self):
        """What waits, with the learning rate and the step count that there are now."""
        store, count = self._waiting
        if type(self).save_own_variables is Saved.save_own_variables:
            store = {**store, **{str(index): self._variables[index].numpy() for index in range(count)}}
        return store, count
