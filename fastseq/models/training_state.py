"""What a run of training that goes on later has to know of a model: BackupAndRestore keeps it."""

import numpy as np

from fastseq.native.kept_states import write


class HasTrainingState:
    """Mixed into `Trainable`, which has the trainer."""

    def get_training_state(self):
        """What the order of rows, layers' random numbers and states, and the epoch's totals go on from.

        Returns:
            dict name -> array.

        Raises:
            ValueError: The model is not compiled.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> "seed" in model.get_training_state()
            True
        """
        trainer = self._trainer_for("get_training_state")
        states = {f"random/{number}": state for number, state in enumerate(trainer.random_states())}
        states |= {f"kept/{number}": state for number, state in enumerate(trainer.kept_states())}
        totals = {f"total/{number}": variable.numpy() for number, variable in enumerate(trainer.totals())}
        return {"seed": np.array(trainer.seed), **states, **totals}

    def set_training_state(self, found):
        """Takes what `get_training_state` gave.

        Args:
            found (dict): Name -> array.

        Raises:
            ValueError: States of stateful layers of other shapes, and what is no state; nothing has changed then.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> model.set_training_state(model.get_training_state())
        """
        trainer = self._trainer_for("set_training_state")
        kept = [found[f"kept/{number}"] for number in range(sum(name.startswith("kept/") for name in found))]
        # Backups of earlier versions have none.
        shapes = [[state.shape for state in states] for states in (kept, trainer.kept_states())]
        if kept and shapes[0] != shapes[1]:
            raise ValueError(
                f"Model '{self.name}': its stateful layers keep states of the shapes {shapes[1]}, got {shapes[0]}, "
                "perhaps of another batch size."
            )
        pairs = list(zip(trainer.kept_states(), kept))
        pairs += [(state, found.get(f"random/{number}")) for number, state in enumerate(trainer.random_states())]
        totals = [found.get(f"total/{number}") for number in range(sum(name.startswith("total/") for name in found))]
        for state, value in (*pairs, (np.array(0), found.get("seed")), *((total, total) for total in totals)):
            if value is None or state.shape != value.shape or value.dtype.kind not in "biuf":
                raise ValueError(f"Model '{self.name}': this is not the state of its training.")
        write([state for state, _ in pairs], [value for _, value in pairs])
        trainer.seed = int(found["seed"])
        trainer.kept_totals = totals
