/* The tables that Python reads: every operation's fields, what kinds are called, and sizes. */
#include "abi/fastseq.h"

/* FS_ARGS is the args struct of the op at hand, by a typedef inside its function. */
#define FS_ROW_IN(type, name, shape) {#name, FS_FIELD_IN, offsetof(FS_ARGS, name), shape},
#define FS_ROW_OUT(type, name, shape) {#name, FS_FIELD_OUT, offsetof(FS_ARGS, name), shape},
#define FS_ROW_INT(name) {#name, FS_FIELD_INT, offsetof(FS_ARGS, name), ""},
#define FS_ROW_NUM(name) {#name, FS_FIELD_NUM, offsetof(FS_ARGS, name), ""},
#define FS_INFO(upper, lower, form, ...)                                                                               \
    static const fs_op_info *lower##_##form##_info(void)                                                               \
    {                                                                                                                  \
        typedef fs_##lower##_args FS_ARGS;                                                                             \
        static const fs_field fields[] = {FS_##upper##_ARGS(FS_ROW_IN, FS_ROW_OUT, FS_ROW_INT, FS_ROW_NUM)};           \
        static const fs_op_info info = {#lower, #form, sizeof(FS_ARGS), sizeof fields / sizeof *fields, fields};       \
        return &info;                                                                                                  \
    }
FS_OPS(FS_INFO)

const fs_op_info *fs_op_table(int op)
{
#define FS_INFO_ROW(upper, lower, form, ...) lower##_##form##_info,
    static const fs_op_info *(*const infos[])(void) = {FS_OPS(FS_INFO_ROW)};
    return op >= 0 && op < FS_OP_COUNT ? infos[op]() : NULL;
}

/* The names of each family, in the order of their numbers, and null behind the last. */
#define FS_NAME(number, name, ...) #name,
#define FS_NAMES(family, LIST) static const char *const family##_names[] = {LIST(FS_NAME) NULL};
FS_KIND_FAMILIES(FS_NAMES)

static const struct {
    const char *name;
    const char *const *kinds;
    int count;
} families[] = {
#define FS_FAMILY(family, LIST) {#family, family##_names, sizeof family##_names / sizeof *family##_names - 1},
    FS_KIND_FAMILIES(FS_FAMILY)
};
enum { FAMILY_COUNT = sizeof families / sizeof *families };

const char *fs_kind_family(int family) { return family >= 0 && family < FAMILY_COUNT ? families[family].name : NULL; }

const char *fs_kind_name(int family, int number)
{
    int there = family >= 0 && family < FAMILY_COUNT && number >= 0 && number < families[family].count;
    return there ? families[family].kinds[number] : NULL;
}

static const struct {
    const char *name;
    int64_t value;
} constants[] = {
#define FS_CONSTANT(name) {#name, name},
    FS_CONSTANTS(FS_CONSTANT)
};
enum { CONSTANT_COUNT = sizeof constants / sizeof *constants };

const char *fs_constant_name(int i) { return i >= 0 && i < CONSTANT_COUNT ? constants[i].name : NULL; }
int64_t fs_constant(int i) { return constants[i].value; }
