/* What the row of an operation says of it (FS_OPS): how its work is divided, and how a long one is interrupted. */
#ifndef FS_EXTENTS_H
#define FS_EXTENTS_H
#include "run/share.h"

/* Fills `extent` for `threads` threads at most. It comes as one row, one unit and one multiply-add, which a function
   changes as far as the operation differs. */
typedef void (*fs_extent_fn)(int op, const void *args, int threads, fs_extent *extent);

#define FS_EXTENT_DECLARED(upper, lower, form, divided, looks)                                                         \
    void fs_##divided##_extent(int op, const void *args, int threads, fs_extent *extent);
FS_OPS(FS_EXTENT_DECLARED)
#undef FS_EXTENT_DECLARED

/* Defines the function of an operation whose division follows from its arguments alone: FS_EXTENT(name) { .. } fills
   `extent` from `a`. */
#define FS_EXTENT(name) FS_EXTENT_OF(name, fs_##name##_args)
#define FS_EXTENT_OF(name, type)                                                                                       \
    static inline void name##_extent(const type *a, fs_extent *extent);                                                \
    void fs_##name##_extent(int op, const void *args, int threads, fs_extent *extent)                                  \
    {                                                                                                                  \
        (void)op, (void)threads;                                                                                       \
        name##_extent(args, extent);                                                                                   \
    }                                                                                                                  \
    static inline void name##_extent(const type *a, fs_extent *extent)

void fs_extent_of(int op, const void *args, int threads, fs_extent *extent);

/* Whether the operation's kernel looks for signals itself; the others get their rows in pieces, and a look is between
   them. */
int fs_looks_itself(int op);
/* The operation of a row, FS_OP_<name>, whatever the form of its weights: for what depends on the operation alone. */
int fs_operation_of(int op);
/* Bytes of a weight in the form of the row. */
int64_t fs_weight_bytes(int op);
#endif
