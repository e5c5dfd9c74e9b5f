"""Which layers hand on, join and use a mask, and how: that of the version of Keras which made the model.

A model of an older Keras gives the numbers that it gave there only under the rules of masks that were in force there.
So each call of a graph (`graph.Node`) and each Sequential has its `MaskRules`: those of the file that it comes from, or
of the live Keras model; calls made here follow the newest ones. They stay through configs, files, copies and clones,
and `Builder.mask_rules` tells layers, while they are traced, which ones hold for the call at hand.

What changed is read off the sources of tf_keras 2.21, which stands for Keras 2, and of the releases of Keras from 3.0.0
to 3.15.1; the tests run tf_keras, Keras 3.3 and Keras 3.15 beside it.
"""

import contextlib
import contextvars
import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class MaskRules:
    """since: the first version of Keras that has these rules, which names them in a config.

    explicit: symbolic calls make masks by operations of the graph (NotEqual, Any ...), explicit inputs of a call; and
        a layer that destroys a mask warns.
    with_states: a recurrent layer called with initial states walks by its input's mask; later it walks by none.
    merged: the mask of Add, Subtract, Multiply, Average, Maximum, Minimum and Concatenate. "and" of those there are;
        None: they leave none (Keras 3.0 to 3.3 look for the masks on the list of inputs, which has none); "or", of
        arithmetic merges only where all inputs have one.
    masked_values: Multiply, Maximum and Minimum leave masked values out.
    given: a mask that is given to a call is handed on, too; else only the input's own is.
    none_given: a call with mask=None says that there is no mask; else the input's own is filled in.
    softmax_zeros: Softmax gives zeros where the mask does not hold; before, a row that is masked as a whole gives what
        a softmax of x - 1e9 gives.
    heads_take_masks: MultiHeadAttention takes the masks off its inputs, so that what they are handed to later in the
        same model finds none; and of a query's masks its own counts, not one that is given.
    words: TimeDistributed hands on what the layer inside makes of its mask, and of its input; where that makes none,
        the mask of the timesteps.
    identity: Identity hands on its mask.
    masking_zeros: Masking gives zeros for masked timesteps; before, 0 times its mask_value (NaN for an infinite one).
    pools_leave_out: GlobalAveragePooling1D leaves masked timesteps out; before, it multiplied them by 0, and of an
        infinity or a NaN there it made NaN.
    kept_states_first: a stateful layer that is called with initial states starts from them only while the states that
        it keeps are all zeros.
    """

    since: str = dataclasses.field(compare=False)
    explicit: bool = True
    with_states: bool = False
    merged: str | None = "or"
    masked_values: bool = True
    given: bool = True
    none_given: bool = False
    softmax_zeros: bool = True
    heads_take_masks: bool = True
    words: bool = False
    identity: bool = True
    masking_zeros: bool = True
    pools_leave_out: bool = True
    kept_states_first: bool = False

    def refuse_mask(self, arguments):
        """Whether a call with these arguments says that its input has no mask, whatever mask that carries."""
        return self.none_given and "mask" in arguments and arguments["mask"] is None

    @property
    def maker(self):
        """The versions of Keras that have them, in words."""
        following = _TABLE[_TABLE.index(self) + 1 :]
        if self.since == "2":
            return "Keras 2"
        return f"Keras from {self.since} on" if not following else f"Keras {self.since} (before {following[0].since})"


NEWEST = MaskRules("3.15")
_3_11 = dataclasses.replace(NEWEST, since="3.11", masking_zeros=False, pools_leave_out=False)
_3_10 = dataclasses.replace(_3_11, since="3.10", given=False)
_3_8 = dataclasses.replace(_3_10, since="3.8", softmax_zeros=False)
_3_4 = dataclasses.replace(_3_8, since="3.4", heads_take_masks=False)
_3_0 = dataclasses.replace(_3_4, since="3.0", merged=None, masked_values=False)
_2 = MaskRules(
    "2", explicit=False, with_states=True, merged="and", masked_values=False, none_given=True, softmax_zeros=False,
    words=True, identity=False, masking_zeros=False, pools_leave_out=False, kept_states_first=True,
    heads_take_masks=False,
)  # fmt: skip
_TABLE = [_2, _3_0, _3_4, _3_8, _3_10, _3_11, NEWEST]
_BY_NAME = {rules.since: rules for rules in _TABLE}

_current = contextvars.ContextVar("fastseq_mask_rules", default=NEWEST)


def named(name):
    """The rules that a config names. Raises ValueError for a name that none have."""
    rules = _BY_NAME.get(name) if isinstance(name, str) else None
    if rules is None:
        raise ValueError(f"mask_rules is one of {sorted(_BY_NAME)}, got {str(name)[:100]!r}.")
    return rules


def of_version(version):
    """The rules of a version of Keras ("2.4.0", "3.3.3", "2.2.4-tf"); the newest ones where it says none."""
    found = re.match(r"\s*(\d+)(?:\.(\d+))?", version) if isinstance(version, str) else None
    if found is None:
        return NEWEST
    wanted = int(found[1]), int(found[2] or 0)
    if wanted[0] < 3:
        return _2
    return [rules for rules in _TABLE[1:] if tuple(map(int, rules.since.split("."))) <= wanted][-1]


def current():
    """The rules for calls that are recorded now: the newest ones, but within `scope`."""
    return _current.get()


@contextlib.contextmanager
def scope(rules):
    """Calls recorded in the block, and Sequential models made in it, follow `rules`."""
    token = _current.set(rules)
    try:
        yield
    finally:
        _current.reset(token)


def entry(rules):
    """What a config says of `rules`: nothing of the newest ones, which every version of Keras that reads it has."""
    return {} if rules == NEWEST else {"mask_rules": rules.since}


def of_entry(config):
    """The rules of a config that `entry` went into; the current ones where it names none.

    Raises FileFormatError (a ValueError) for a name that none have.
    """
    from fastseq.errors import FileFormatError

    if "mask_rules" not in config:
        return current()
    try:
        return named(config["mask_rules"])
    except ValueError as error:
        raise FileFormatError(str(error)) from None
