"""The options of operations as files have them: which values each may have, before anything is computed with them.

A file is data that anybody may have written. True is no axis, though Python takes it for a number, and a size of 2**60
is refused here, before an array of that size is asked for.
"""

import math

from fastseq.errors import UnsupportedError

#: The largest size of one axis, a known one, that an operation of a file may ask for: indices along it take 128 MB.
LONGEST = 2**24
#: The largest number of elements, those of unknown sizes left out, that an array of it may have.
LARGEST = 2**31 - 1
#: How many arrays an operation may give, or copies it may put side by side.
MOST_PIECES = 10_000
#: Classes of one_hot and multi_hot, whose numbers are a constant of the program.
MOST_CLASSES = 1_000_000
#: Axes of an array: NumPy has no more.
MOST_AXES = 64


def _is_whole(value):
    return type(value) is int and -LONGEST <= value <= LONGEST


def _is_number(value):
    return type(value) is float or (type(value) is int and abs(value) <= LARGEST)


def _several(test, depth=1):
    """`test` of a value, or of all values of a list of at most MOST_AXES, nested up to `depth` deep."""

    def is_one(value):
        if test(value):
            return True
        if depth == 0 or not isinstance(value, list) or len(value) > MOST_AXES:
            return False
        return all(map(_several(test, depth - 1), value))

    return is_one


def _or_none(test):
    return lambda value: value is None or test(value)


def _is_pieces(value):
    if isinstance(value, list):
        return len(value) <= MOST_PIECES and all(map(_is_whole, value))
    return _is_whole(value) and abs(value) <= MOST_PIECES


def _is_count(value):
    return type(value) is int and 0 < value <= MOST_PIECES


def _is_classes(value):
    return type(value) is int and 0 < value <= MOST_CLASSES


def _is_bool(value):
    return type(value) is bool


def _is_text(value):
    return isinstance(value, str)


def _is_plain(value, depth=4):
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    return value is None or isinstance(value, (bool, str)) or _is_number(value)


_TESTS = {
    test: words.split()
    for test, words in (
        (_or_none(_several(_is_whole)), "axis"),
        (_or_none(_several(_is_whole, 2)), "axes"),
        (_or_none(_is_whole), "num minlength maximum_iterations length mask_index fft_length num_segments"),
        (
            _several(_is_whole),
            "newshape shape shift source destination order dilation_rate pool_size kernel_size size dilation stride",
        ),
        (_or_none(_several(_is_whole)), "strides output_padding output_size"),
        (_several(_is_whole, 2), "pad_width"),
        (
            _is_whole,
            "axis1 axis2 axisa axisb axisc k kth offset decimals N sequence_length sequence_stride block_size",
        ),
        (_is_pieces, "indices_or_sections repeats"),
        (_is_count, "beam_width top_paths bins"),
        (_or_none(_is_classes), "num_classes"),
        (
            _is_bool,
            "keepdims sparse approximate from_logits equal_nan sorted center is_causal merge_repeated "
            "rms_scaling increasing upper lower reverse assume_unique invert synchronized",
        ),
        (_or_none(_is_number), "epsilon max_value posinf neginf nan x_min x_max initial attn_logits_soft_cap"),
        (_is_number, "alpha base negative_slope threshold default_value b rtol atol dx max_val fill_value"),
        (_or_none(_is_text), "dtype data_format reduction"),
        (_is_text, "subscripts mode padding method indexing side window_type strategy"),
    )
}
_TEST_OF = {name: test for test, names in _TESTS.items() for name in names}
# The same word means another thing in these classes.
_TEST_OF_CLASS = {
    ("Normalize", "order"): _is_number,
    ("ConvertToTensor", "sparse"): _or_none(_is_bool),
    ("ConvertToTensor", "ragged"): _or_none(_is_bool),
    ("Norm", "ord"): _or_none(lambda value: _is_text(value) or _is_number(value)),
    ("RFFT", "fft_length"): _or_none(_is_whole),
    ("IRFFT", "fft_length"): _or_none(_is_whole),
    ("Repeat", "repeats"): _is_pieces,
    ("Tile", "repeats"): _several(lambda value: _is_whole(value) and abs(value) <= MOST_PIECES),
    ("Vander", "N"): _or_none(_is_whole),
    ("Fold", "padding"): _several(_is_whole),
    ("Unfold", "padding"): _several(_is_whole),
    ("Unstack", "num"): _or_none(_is_pieces),
}


def checked(class_name, name, options):
    """Options of a config with tuples where the file has lists.

    class_name, name: of the operation, for messages. Raises UnsupportedError for a value that the option cannot have.
    """
    for option, value in options.items():
        test = _TEST_OF_CLASS.get((class_name, option)) or _TEST_OF.get(option, _is_plain)
        if not test(value):
            raise UnsupportedError(
                f"Operation '{name}' ({class_name}) has {option}={str(value)[:100]}, which is not supported."
            )
    return {option: as_tuples(value) for option, value in options.items()}


def as_tuples(value):
    """Plain data with tuples in the places of lists, since JSON has no tuples."""
    return tuple(map(as_tuples, value)) if isinstance(value, (list, tuple)) else value


def check_outputs(name, tensors):
    """Raises UnsupportedError where an operation gives more, or larger, arrays than a model can hold."""
    if len(tensors) > MOST_PIECES:
        raise UnsupportedError(f"Operation '{name}' gives {len(tensors)} arrays; the limit is {MOST_PIECES}.")
    for tensor in tensors:
        sizes = [size for size in tensor.shape if size is not None]
        if math.prod(sizes) > LARGEST or max(sizes, default=0) > LONGEST or len(tensor.shape) > MOST_AXES:
            raise UnsupportedError(
                f"Operation '{name}' gives an array of shape {str(tensor.shape)[:100]}, which is larger than a model "
                "can hold."
            )
