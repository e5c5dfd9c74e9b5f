/* What steps are run with: isa/dispatch.c chooses the kernels. */
#include "run/kernel_table.h"

const fs_isa *fs_isa_active;
