"""Optimizer: what all optimizers share. https://keras.io/api/optimizers/

Every optimizer updates all weights in one native call (native.py); `update_step` of each is the same in NumPy, the
twin that tests compare with and what a user's own optimizer defines.
"""

import re

import numpy as np

from fastseq.native import interrupts
from fastseq.optimizers.gradients import checked, clipped
from fastseq.optimizers.native import Updates
from fastseq.optimizers.saved import Saved
from fastseq.optimizers.schedules import LearningRateSchedule
from fastseq.optimizers.variables import HoldsVariables
from fastseq.tensors import naming
from fastseq.tensors.state_variable import StateVariable


class Optimizer(HoldsVariables, Saved):
    """Base class of optimizers. A user's own one defines `build`, `update_step` and `get_config` as with Keras.

    Args:
        learning_rate (float, schedule or function): A `LearningRateSchedule`, or a function without arguments, gives it
            anew for each step.
        weight_decay (float, default None): Share of themselves that weights lose in each step, times the learning rate;
            None is none.
        clipnorm (float, default None): Largest L2 norm of each gradient; None is no bound.
        clipvalue (float, default None): Largest absolute value of a gradient's elements; None is no bound.
        global_clipnorm (float, default None): Largest L2 norm of all gradients together. Only one of the three may be
            given.
        use_ema (bool, default False): Whether to keep an exponential moving average of the weights.
        ema_momentum (float, default 0.99): Decay of the average, from 0 to 1.
        ema_overwrite_frequency (int, default None): After how many steps the average takes the weights' place; None is
            at `finalize_variable_values`.
        loss_scale_factor (float, default None): What gradients are divided by; None is 1.
        gradient_accumulation_steps (int, default None): Weights change only every so many steps, at least 2, by the
            mean of the gradients until then; None is every step.
        name (str, default None): Of the optimizer, which its variables' paths begin with; None makes one.
        **kwargs: `lr`, Keras 1's spelling of learning_rate.

    Raises:
        ValueError: Arguments that contradict one another or are out of range, and unknown ones.

    Example:
        >>> class Signs(optimizers.Optimizer):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         self.assign_sub(variable, learning_rate * np.sign(gradient))
        >>> w = fastseq.Variable([1.0], "w")
        >>> Signs(0.25).apply([np.array([2.0])], [w])
        >>> w.numpy()
        array([0.75], dtype=float32)
    """

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        # Keras 1 and 2: lr was the learning rate, and decay lowered it by the step count.
        learning_rate = kwargs.pop("lr", learning_rate)
        if kwargs.pop("decay", None):
            raise ValueError(
                "`decay` of Keras 1 and 2 is not an argument of Keras 3; the same is "
                "learning_rate=InverseTimeDecay(learning_rate, decay_steps=1, decay_rate=decay)."
            )
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
        self.name = naming.auto_name(type(self).__name__) if name is None else name
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.global_clipnorm = global_clipnorm
        self.clipvalue = clipvalue
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check()
        self.built = False
        self._variables = []
        self._trainable_variables = []
        self._indices = {}
        self._excluded, self._excluded_names = set(), None
        self._updates = Updates(self)
        self._iterations = self._track(StateVariable(0, "iteration", f"{self.name}/iteration", "int64"))
        if not callable(learning_rate):
            if not isinstance(learning_rate, float):
                raise ValueError(
                    "Argument `learning_rate` should be float, or an instance of LearningRateSchedule, or a callable "
                    f"that returns a learning rate. Received: learning_rate={learning_rate}"
                )
            path = f"{self.name}/learning_rate"
            learning_rate = self._track(StateVariable(learning_rate, "learning_rate", path))
        self._learning_rate = learning_rate

    def _check(self):
        if sum(limit is not None for limit in (self.clipnorm, self.clipvalue, self.global_clipnorm)) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                f"clipnorm={self.clipnorm}, clipvalue={self.clipvalue}, global_clipnorm={self.global_clipnorm}"
            )
        steps = self.gradient_accumulation_steps
        if steps and not (isinstance(steps, int) and steps >= 2):
            raise ValueError(
                f"`gradient_accumulation_steps` must be an integer >= 2. Received: gradient_accumulation_steps={steps}"
            )
        if not self.use_ema:
            return
        if self.ema_momentum > 1 or self.ema_momentum < 0:
            raise ValueError(f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={self.ema_momentum}")
        frequency = self.ema_overwrite_frequency
        if frequency and not (isinstance(frequency, int) and frequency >= 1):
            raise ValueError(
                "`ema_overwrite_frequency` must be an integer >= 1 or None. Received: "
                f"ema_overwrite_frequency={frequency}"
            )

    # ---- variables -----------------------------------------------------------------------------------------------

    @property
    def iterations(self):
        """How many steps have changed the weights."""
        if self.gradient_accumulation_steps:
            return self._iterations // self.gradient_accumulation_steps
        return self._iterations

    @property
    def learning_rate(self):
        """The current one: a variable, which can be assigned to, or what the schedule or function says."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(int(self._iterations))
        return self._learning_rate if isinstance(self._learning_rate, StateVariable) else self._learning_rate()

    @learning_rate.setter
    def learning_rate(self, value):
        own = self._learning_rate
        if callable(value):
            if isinstance(own, StateVariable):
                self._variables = [variable for variable in self._variables if variable is not own]
            self._learning_rate = value
        elif not isinstance(own, StateVariable):
            raise TypeError(
                "This optimizer was created with a schedule or function as its `learning_rate`, so it cannot be set to "
                "a number. Create it with a float `learning_rate`."
            )
        else:
            own.assign(value)

    def build(self, variables):
        """Makes the state for weights; an optimizer serves those it was built with, and no others.

        Args:
            variables (list of Variable): The weights.
        """
        variables = list(variables)
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated = self.add_optimizer_variables(variables, "gradient_accumulator")
        self._indices = {id(variable): index for index, variable in enumerate(variables)}
        self._trainable_variables = variables
        self.built = True

    # ---- one step ------------------------------------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars):
        """`apply` for pairs.

        Args:
            grads_and_vars (list of tuple): (gradient, weight).

        Returns:
            The count of steps, a variable.
        """
        gradients, variables = zip(*grads_and_vars)
        self.apply(gradients, variables)
        return self._iterations

    def apply(self, grads, trainable_variables=None, *, tell_layers=True):
        """One step: changes the weights by the gradients. The first call builds the optimizer.

        Args:
            grads (list of array): Of the weights' shapes; None for a weight without a gradient, of which it warns.
            trainable_variables (list of Variable, default None): The weights; None is those it was built with.
            tell_layers (bool, default True): False where the caller makes the layers drop what they packed from the old
                weights, later, once for many steps. Then weights stay at one place in memory until they are assigned
                to, so that programs for training may point to them.

        Raises:
            ValueError: Unknown weights, other shapes, or no gradient at all.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._known(grads, trainable_variables)
        grads, variables = checked(grads, variables)
        # Ctrl-C comes before it or after it: all weights, the state and the count of steps are of one step.
        with interrupts.whole():
            self._step(grads, variables, tell_layers)

    def _step(self, grads, variables, tell_layers):
        unscale = 1.0 if self.loss_scale_factor is None else 1.0 / self.loss_scale_factor
        if self.gradient_accumulation_steps:
            grads, unscale = self._accumulate(grads, variables, unscale), 1.0
        changed = variables
        if grads is not None:
            self._update(grads, variables, unscale, in_place=not tell_layers)
        if self.use_ema:
            self._average(not tell_layers)
            changed = self._trainable_variables
        for variable in variables:
            if getattr(variable, "constraint", None) is not None:
                self._updates.replace(variable, variable.constraint(variable._value), not tell_layers)
        self._iterations._value += 1
        if tell_layers:
            for owner in {id(v._owner): v._owner for v in changed if v._owner is not None}.values():
                owner._weights_changed()

    def _known(self, grads, variables):
        if variables is None:
            if not self.built:
                raise ValueError("Without variables, apply() needs an optimizer that was built: build(variables).")
            variables = self._trainable_variables
        variables = list(variables)
        if len(grads) != len(variables):
            raise ValueError(f"{len(grads)} gradients were given for {len(variables)} variables.")
        self.build_for(variables)
        for variable in variables:
            self._get_variable_index(variable)
        return variables

    def _accumulate(self, grads, variables, unscale):
        """The gradients to step with, None where this step only adds up."""
        steps = self.gradient_accumulation_steps
        sums = [self._accumulated[self._get_variable_index(variable)] for variable in variables]
        grads = [gradient * np.float32(unscale) + total._value for gradient, total in zip(grads, sums)]
        if (int(self._iterations) + 1) % steps:
            for total, gradient in zip(sums, grads):
                total._value[...] = gradient
            return None
        for total in self._accumulated:
            total._value[...] = 0
        return [np.asarray(gradient / np.float32(steps)) for gradient in grads]

    def _update(self, grads, variables, unscale, in_place):
        rate = np.float32(self.learning_rate)
        decays = [self.weight_decay is not None and self._use_weight_decay(variable) for variable in variables]
        if self._has_native_update():
            self._before_update()
            indices = [self._get_variable_index(variable) for variable in variables]
            self._updates.run(grads, variables, indices, decays, rate, unscale, in_place)
        else:
            grads = clipped([gradient * np.float32(unscale) for gradient in grads], self)
            for variable, decayed in zip(variables, decays):
                if decayed:
                    variable.assign(variable._value - variable._value * np.float32(self.weight_decay) * rate)
            self._before_update()
            for gradient, variable in zip(grads, variables):
                self.update_step(gradient, variable, rate)

    def _has_native_update(self):
        """False for a class that overrides `update_step` without a kernel of its own."""
        for cls in type(self).__mro__:
            if "_native_update" in vars(cls):
                return True
            if "update_step" in vars(cls):
                return False
        return False

    def _before_update(self):
        """Changes what does not belong to one weight."""

    def _shared_variables(self):
        """What `_before_update` changes."""
        return []

    def _hyper(self, rate):
        """The kernel's own numbers for this step."""
        raise NotImplementedError(f"{type(self).__name__} has no kernel.")

    def _options(self):
        """What its program depends on beside shapes."""
        return ()

    def update_step(self, gradient, variable, learning_rate):
        """Changes one weight by its gradient, with `assign`; a subclass defines it.

        Args:
            gradient (array): float32, of the weight's shape.
            variable (Variable): The weight.
            learning_rate (float): np.float32, that of this step.

        Raises:
            NotImplementedError: A subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update_step().")

    def _average(self, in_place):
        """Moving averages of all weights, with or without a gradient; the first one is the weights themselves."""
        momentum = np.float32(self.ema_momentum if int(self.iterations) else 0.0)
        frequency = self.ema_overwrite_frequency
        for average, variable in zip(self._averages, self._trainable_variables):
            average._value *= momentum
            average._value += (np.float32(1) - momentum) * variable._value
            if frequency and (int(self.iterations) + 1) % frequency == 0:
                self._updates.replace(variable, average._value, in_place)

    def finalize_variable_values(self, var_list):
        """Puts the moving averages in the place of the weights, where there are any. `fit` calls it at its end.

        Args:
            var_list (list of Variable): The weights that the optimizer was built with.

        Raises:
            ValueError: Another number of them.
        """
        if not self.use_ema:
            return
        if len(var_list) != len(self._averages):
            raise ValueError(f"{len(var_list)} variables were given; the optimizer averages {len(self._averages)}.")
        for variable, average in zip(var_list, self._averages):
            variable.assign(average._value)

    def scale_loss(self, loss):
        """A loss times the loss scale, where there is one.

        Args:
            loss (float): The loss.

        Returns:
            float.
        """
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # ---- weight decay --------------------------------------------------------------------------------------------

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Lets some weights have no weight decay.

        Args:
            var_list (list of Variable, default None): Weights.
            var_names (list of str, default None): Regular expressions: none for weights with one in their names.
        """
        self._excluded = {id(variable) for variable in var_list or ()}
        self._excluded_names = re.compile("|".join(sorted(set(var_names)))) if var_names else None

    def _use_weight_decay(self, variable):
        if id(variable) in self._excluded:
            return False
        return self._excluded_names is None or self._excluded_names.search(variable.name) is None
