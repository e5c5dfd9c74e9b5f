"""What kernels there are, and the numbers by which their arguments name kinds."""

from fastseq.native import _native

OPERATIONS = _native.operations()


ACTIVATION_KINDS = _native.activation_kinds()


CASTS = {
    ("float32", "int32"): 0,
    ("int32", "float32"): 1,
    ("bool", "float32"): 2,
    ("bool", "int32"): 3,
    ("int32", "bool"): 4,
    ("float32", "bool"): 5,
}


MASK_KINDS = {"and": 0, "or": 1, "not": 2, "nonzero_int32": 3, "nonzero_float32": 4}


BINARY_KINDS = {
    name: number
    for number, name in enumerate(
        ("add", "subtract", "multiply", "divide", "maximum", "minimum", "prelu", "at_least", "above")
        + ("add_int32", "subtract_int32", "multiply_int32", "maximum_int32", "minimum_int32")
    )
}
