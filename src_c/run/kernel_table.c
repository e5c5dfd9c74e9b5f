/* What steps are run with: isa/dispatch.c chooses the kernels, Python hands over SciPy's sgemm. */
#include "run/kernel_table.h"

const fs_isa *fs_isa_active;
fs_sgemm_fn fs_sgemm;

void fs_set_sgemm(fs_sgemm_fn sgemm) { __atomic_store_n(&fs_sgemm, sgemm, __ATOMIC_RELEASE); }
