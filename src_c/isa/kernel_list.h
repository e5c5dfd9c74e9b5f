/* The tables of one ISA: one kernel for every row of FS_OPS, fs_<form>_<op>__<isa>. Included by each isa_<isa>.c after
   its kernels; feeds dispatch.c. */
#include "run/kernel_table.h"

#define FS_PASTE_(a, b) a##b
#define FS_PASTE(a, b) FS_PASTE_(a, b)
#define FS_TEXT_(a) #a
#define FS_TEXT(a) FS_TEXT_(a)

_Static_assert(sizeof(fs_weight) == FS_PASTE(FS_BYTES_, FS_FORM), "abi/ops.h has other bytes for this form");

/* The exported kernel sets the floating-point mode for the time of its run: denormals count as zero. */
#define FS_EXPORT(upper, lower, form, ...)                                                                             \
    static int FS_PASTE(fs_##form##_##lower##__, FS_ISA)(const void *args, const fs_share *share)                      \
    {                                                                                                                  \
        unsigned mode = v_ftz_begin();                                                                                 \
        int status = fs_##lower((const fs_##lower##_args *)args, share);                                               \
        v_ftz_end(mode);                                                                                               \
        return status;                                                                                                 \
    }
FS_OPS(FS_EXPORT)

#define FS_KERNEL_NAME(upper, lower, form, ...) "fs_" #form "_" #lower "__" FS_TEXT(FS_ISA),
#define FS_KERNEL(upper, lower, form, ...) FS_PASTE(fs_##form##_##lower##__, FS_ISA),
static const char *const kernel_names[] = {FS_OPS(FS_KERNEL_NAME)};
static const fs_kernel_fn kernels[] = {FS_OPS(FS_KERNEL)};
const fs_isa FS_PASTE(fs_isa_, FS_ISA) = {FS_TEXT(FS_ISA), kernel_names, kernels};
