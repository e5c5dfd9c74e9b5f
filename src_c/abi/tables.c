/* The tables that Python reads: every operation's fields, and what kinds are called. */
#include "abi/activation_kinds.h"
#include "abi/fastseq.h"

/* FS_ARGS is the args struct of the op at hand, by a typedef inside its function. */
#define FS_ROW_IN(type, name, shape) {#name, FS_FIELD_IN, offsetof(FS_ARGS, name), shape},
#define FS_ROW_OUT(type, name, shape) {#name, FS_FIELD_OUT, offsetof(FS_ARGS, name), shape},
#define FS_ROW_INT(name) {#name, FS_FIELD_INT, offsetof(FS_ARGS, name), ""},
#define FS_ROW_NUM(name) {#name, FS_FIELD_NUM, offsetof(FS_ARGS, name), ""},
#define FS_INFO(upper, lower, ...)                                                                                     \
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
#define FS_INFO_ROW(upper, lower, ...) lower##_info,
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
