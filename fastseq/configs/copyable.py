"""What copy.copy, copy.deepcopy and pickle do with layers, models and optimizers. copying.py says what they carry."""


class Copyable:
    """A mixin. copying.py is imported when something is copied."""

    def __reduce__(self):
        from fastseq.saving import copying

        return copying.pickled(self)

    def __deepcopy__(self, memo):
        from fastseq.saving import copying

        return copying.deep_copy(self, memo)

    def __copy__(self):
        """Another object with the very same layers, weights or variables."""
        made = type(self).__new__(type(self))
        vars(made).update(vars(self))
        return made
