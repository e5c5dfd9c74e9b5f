/* The kernels of the active instruction set. Steps read them; isa/dispatch.c sets them. */
#ifndef FS_KERNEL_TABLE_H
#define FS_KERNEL_TABLE_H
#include "run/share.h"

typedef int (*fs_kernel_fn)(const void *args, const fs_share *share);

typedef struct {
    const char *name;
    const char *const *kernel_names; /* by fs_op_id */
    const fs_kernel_fn *kernels;     /* by fs_op_id */
} fs_isa;

extern const fs_isa *fs_isa_active;

/* By fs_op_id. Whoever starts a region asks once and carries the answer to its threads, as with all that they decide
   by: another thread may choose another instruction set meanwhile. */
static inline const fs_kernel_fn *fs_kernels_now(void)
{
    return __atomic_load_n(&fs_isa_active, __ATOMIC_ACQUIRE)->kernels;
}
#endif
