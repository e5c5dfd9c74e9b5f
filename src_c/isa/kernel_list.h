/* The kernels that a file of one ISA and one form of weights exports: fs_<form>_<op>__<isa> for each row of the form's
   list in abi/ops.h. The file with float32 has the ISA's table too, of all rows. Included by each isa_<isa>.c after its
   bodies; feeds dispatch.c. */
#include "run/kernel_table.h"

#define FS_PASTE_(a, b) a##b
#define FS_PASTE(a, b) FS_PASTE_(a, b)
#define FS_TEXT_(a) #a
#define FS_TEXT(a) FS_TEXT_(a)

/* The kernel of a row. */
#define FS_KERNEL(upper, lower, form, ...) FS_PASTE(fs_##form##_##lower##__, FS_ISA)

#define FS_DECLARE(...) int FS_KERNEL(__VA_ARGS__)(const void *args, const fs_share *share);
FS_OPS(FS_DECLARE)

/* The exported kernel sets the floating-point mode for the time of its run: denormals count as zero. */
#define FS_EXPORT(upper, lower, form, ...)                                                                             \
    _Static_assert(sizeof(fs_weight) == FS_BYTES_##form, "abi/ops.h has other bytes for the weights of " #lower);      \
    int FS_KERNEL(upper, lower, form)(const void *args, const fs_share *share)                                         \
    {                                                                                                                  \
        unsigned mode = v_ftz_begin();                                                                                 \
        int status = fs_##lower((const fs_##lower##_args *)args, share);                                               \
        v_ftz_end(mode);                                                                                               \
        return status;                                                                                                 \
    }
FS_PASTE(FS_OPS_, FS_FORM)(FS_EXPORT)

#ifdef FS_WEIGHTS
/* Bodies without a row of this form are unused, and it is no mistake. The compiler drops them. */
#define FS_BODY(upper, lower, ...) (fs_kernel_fn)fs_##lower,
static const fs_kernel_fn bodies[] __attribute__((unused)) = {FS_OPS_f32(FS_BODY)};
#else
#define FS_TABLE_NAME(upper, lower, form, ...) "fs_" #form "_" #lower "__" FS_TEXT(FS_ISA),
#define FS_TABLE_KERNEL(...) FS_KERNEL(__VA_ARGS__),
static const char *const kernel_names[] = {FS_OPS(FS_TABLE_NAME)};
static const fs_kernel_fn kernels[] = {FS_OPS(FS_TABLE_KERNEL)};
const fs_isa FS_PASTE(fs_isa_, FS_ISA) = {FS_TEXT(FS_ISA), kernel_names, kernels};
#endif
