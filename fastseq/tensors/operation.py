"""Operation: what can stand in a graph of symbolic calls. https://keras.io/api/ops/"""

from fastseq.tensors import catch_alls
from fastseq.tensors.naming import auto_name
from fastseq.tensors.symbolic import Node


class Operation:
    """The base of layers and of the operations between them: a name, the symbolic call, and the nodes that record it.

    A subclass defines `compute_output_spec` (symbolic outputs for symbolic inputs), `trace` (its steps in a program),
    and `_signature`, the inspect.Signature of its call. What is no layer holds no weights and needs no build.
    """

    added = False  # whether a model added it by itself, and may call it otherwise
    built = True
    #: Whether a mask may come out of it where none goes in.
    makes_masks = False
    #: The calls of the layers inside, where they are a graph: see models.calls.Calls.
    call_graph = None
    #: What it keeps from timestep to timestep, which `Builder.states` gives and takes: None; "states", which its steps
    #: change; or "inputs", the last of those that it got.
    memory = None
    #: Whether streams ask all tensors of a call for their time axes, and not those of its first argument alone.
    reads_all_alike = False
    #: The name under which a call takes any number of arguments, `args` of `*args`: tensors/catch_alls.py.
    _rest_argument = None
    trainable = True
    weights = ()

    def __init__(self, name=None):
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"`name` must be a string without '/', got {name!r}.")
        self.name = name or auto_name(type(self).__name__)
        self._inbound_nodes = []

    def compute_output_spec(self, *args, **kwargs):
        """Symbolic outputs for symbolic inputs: shapes and dtypes, nothing computed. A layer is built by it.

        Args:
            *args: KerasTensors, as the call takes its inputs.
            **kwargs: Further arguments of the call.

        Returns:
            A KerasTensor, or a nest of them.

        Raises:
            ValueError: Inputs that do not fit.
            NotImplementedError: A subclass does not define it.
        """
        raise NotImplementedError(f"'{self.name}' ({type(self).__name__}) must define compute_output_spec().")

    def _record(self, arguments):
        """The Node of a call with these bound arguments, which have KerasTensors in them."""
        args, kwargs = catch_alls.spread(self, arguments)
        return Node(self, arguments, self.compute_output_spec(*args, **kwargs))

    def _argument_dtypes(self, name):
        """The dtype the argument `name` is converted to, a list of them for its leaves, or None to keep its kind."""
        return None

    def _sublayers(self):
        return []

    def count_params(self):
        return 0

    def get_config(self):
        """The arguments to make such a layer or operation, as plain data in Keras's form. Weights are not part of it.

        Returns:
            dict.
        """
        return {"name": self.name}

    @classmethod
    def from_config(cls, config):
        """A new layer from what `get_config` gave.

        Args:
            config (dict): Arguments by name.

        Returns:
            The layer, with no weights yet.
        """
        return cls(**config)

    @property
    def input(self):
        """The symbolic input of the first call, or a list of them. Raises AttributeError where there is none."""
        return self._ends_of_first_call("input_tensors")

    @property
    def output(self):
        """The symbolic output of the first call, or a list of them. Raises AttributeError where there is none."""
        return self._ends_of_first_call("output_tensors")

    def _ends_of_first_call(self, name):
        """`input_tensors` or `output_tensors` of the first symbolic call: one tensor, or a list of them."""
        if not self._inbound_nodes:
            raise AttributeError(f"Layer '{self.name}' has never been called symbolically and has no {name} yet.")
        tensors = getattr(self._inbound_nodes[0], name)
        return tensors[0] if len(tensors) == 1 else list(tensors)
