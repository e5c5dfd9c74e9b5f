"""What kernels there are, the numbers by which their arguments name kinds, and the sizes that C and Python share.

All of it is read from C (src_c/abi/ops.h, kinds.h, constants.h): Python writes no number of a kind, and no size.
"""

from fastseq.native import _native

OPERATIONS = _native.operations()

_KINDS, _SIZES = _native.kinds(), _native.constants()

ACTIVATION_KINDS = _KINDS["activation"]
BINARY_KINDS = _KINDS["binary"]
MASK_KINDS = _KINDS["mask"]
RANDOM_KINDS = _KINDS["random"]
LOSS_KINDS = _KINDS["loss"]
LOSS_REDUCTIONS = _KINDS["reduction"]
HITS_KINDS = _KINDS["hits"]
CELL_KINDS = _KINDS["cell"]
CHAIN_KINDS, REDUCE_KINDS = _KINDS["chain"], _KINDS["reduce"]
PUT_KINDS, CUMULATIONS, POOL_KINDS = _KINDS["put"], _KINDS["cumulation"], _KINDS["pool"]
CTC_FAILURES = {number: name for name, number in _KINDS["ctc_failure"].items()}
CASTS = {tuple(name.split("_to_")): number for name, number in _KINDS["cast"].items()}  # (from, to) -> number

# Units that stand side by side in packed weights; panels of them that do, in a product without gates.
PANEL = _SIZES["FS_PANEL"]
GROUP_PANELS = _SIZES["FS_GROUP_PANELS"]
# Columns, and rows, of a weight gradient that make one thread's piece.
ATTENTION_KEYS, ATTENTION_SIZE = _SIZES["FS_ATTENTION_KEYS"], _SIZES["FS_ATTENTION_SIZE"]
PRODUCT_COLUMNS, PRODUCT_ROWS = _SIZES["FS_PRODUCT_COLUMNS"], _SIZES["FS_PRODUCT_ROWS"]
# Groups of rows that a Fourier transform has scratch for; the largest prime factor of a length that radices do.
FOURIER_GROUPS, FOURIER_PRIME = _SIZES["FS_FOURIER_GROUPS"], _SIZES["FS_FOURIER_PRIME"]
# Doubles of padding behind arrays of states and classes in connectionist temporal classification.
CTC_PAD = _SIZES["FS_CTC_PAD"]
# Rows of a loss, and elements of a norm, that make one partial sum.
LOSS_BLOCK, NORM_BLOCK = _SIZES["FS_LOSS_BLOCK"], _SIZES["FS_NORM_BLOCK"]
# Rows of a LayerNormalization whose gradients of gamma and beta do.
LAYER_NORM_ROWS = _SIZES["FS_LAYER_NORM_ROWS"]
# An optimizer's numbers: how many, where its own begin, and where 1 / loss scale is.
HYPER_SIZE, HYPER_OWN, HYPER_UNSCALE = (_SIZES[f"FS_HYPER_{name}"] for name in ("SIZE", "OWN", "UNSCALE"))
# Rows of H floats that recurrent_general and its backward op want for each row of a batch.
GENERAL_SCRATCH, GENERAL_BACKWARD_SCRATCH = _SIZES["FS_GENERAL_SCRATCH"], _SIZES["FS_GENERAL_BACKWARD_SCRATCH"]
# What a chain of elementwise operations has at most.
CHAIN_INPUTS, CHAIN_OUTPUTS = _SIZES["FS_CHAIN_INPUTS"], _SIZES["FS_CHAIN_OUTPUTS"]
CHAIN_REGISTERS = _SIZES["FS_CHAIN_REGISTERS"]
# Multiply-adds that a thread wants to be worth starting.
MIN_WORK_PER_THREAD = _SIZES["FS_MIN_WORK_PER_THREAD"]


def _of_cells(size):
    """{cell: one of its sizes}."""
    return {name: _SIZES[f"FS_{name.upper()}_{size}"] for name in CELL_KINDS}


GATES = _of_cells("GATES")
# Panels of units that stay together in the cell's kernel.
CELL_PANELS = _of_cells("PANELS")
# What a traced step keeps: vectors of each panel, and rows of H in recurrent_general.
TRACED, GENERAL_TRACED = _of_cells("KEPT"), _of_cells("GENERAL_KEPT")
