/* The only file that chooses an ISA, and the tables that Python reads. */
#include "activation_kinds.h"
#include "internal.h"
#include <string.h>

/* FS_ARGS is the args struct of the op at hand, by a typedef inside its function. */
#define FS_ROW_IN(type, name, shape) {#name, FS_FIELD_IN, offsetof(FS_ARGS, name), shape},
#define FS_ROW_OUT(type, name, shape) {#name, FS_FIELD_OUT, offsetof(FS_ARGS, name), shape},
#define FS_ROW_INT(name) {#name, FS_FIELD_INT, offsetof(FS_ARGS, name), ""},
#define FS_ROW_NUM(name) {#name, FS_FIELD_NUM, offsetof(FS_ARGS, name), ""},
#define FS_INFO(upper, lower)                                                                                          \
    static const fs_op_info *lower##_info(void)                                                                        \
    {                                                                                                                  \
        typedef fs_##lower##_args FS_ARGS;                                                                             \
        static const fs_field fields[] = {FS_##upper##_ARGS(FS_ROW_IN, FS_ROW_OUT, FS_ROW_INT, FS_ROW_NUM)};           \
        static const fs_op_info info = {#lower, sizeof(FS_ARGS), sizeof fields / sizeof *fields, fields};              \
        return &info;                                                                                                  \
    }
FS_OPS(FS_INFO)

const fs_op_info *fs_op_table(int op)
{
#define FS_INFO_ROW(upper, lower) lower##_info,
    static const fs_op_info *(*const infos[])(void) = {FS_OPS(FS_INFO_ROW)};
    return op >= 0 && op < FS_OP_COUNT ? infos[op]() : NULL;
}

const char *fs_activation_name(int kind)
{
    static const char *const names[] = {
#define FS_NAME(upper, lower) #lower,
        FS_ACTIVATIONS(FS_NAME)
#undef FS_NAME
    };
    return kind >= 0 && kind < FS_ACT_COUNT ? names[kind] : NULL;
}

#if defined(__x86_64__)
extern const fs_isa fs_isa_avx512, fs_isa_avx2;
#elif defined(__aarch64__)
extern const fs_isa fs_isa_neon;
#endif
extern const fs_isa fs_isa_scalar;

static const fs_isa *const isas[] = {
#if defined(__x86_64__)
    &fs_isa_avx512, &fs_isa_avx2,
#elif defined(__aarch64__)
    &fs_isa_neon,
#endif
    &fs_isa_scalar,
};
enum { ISA_COUNT = sizeof isas / sizeof *isas };

const fs_isa *fs_isa_active;
fs_sgemm_fn fs_sgemm;

int fs_select_isa(const char *name)
{
    int any = name == NULL || *name == '\0';
    for (int i = 0; i < ISA_COUNT; i++)
        if ((any || strcmp(name, isas[i]->name) == 0) && fs_cpu_has(isas[i]->name)) {
            __atomic_store_n(&fs_isa_active, isas[i], __ATOMIC_RELEASE);
            return 0;
        }
    return -1;
}

static const fs_isa *active(void) { return __atomic_load_n(&fs_isa_active, __ATOMIC_ACQUIRE); }
const char *fs_active_isa(void) { return active()->name; }
const char *fs_isa_name(int i) { return i >= 0 && i < ISA_COUNT ? isas[i]->name : NULL; }
int fs_isa_supported(int i) { return i >= 0 && i < ISA_COUNT && fs_cpu_has(isas[i]->name); }
const char *fs_kernel_name(int op) { return op >= 0 && op < FS_OP_COUNT ? active()->kernel_names[op] : NULL; }
void fs_set_sgemm(fs_sgemm_fn sgemm) { __atomic_store_n(&fs_sgemm, sgemm, __ATOMIC_RELEASE); }
