/* Elements by their places along an axis: taken, put, sorted, found; and what adds up along an axis. The array is
   (outer, n, inner), `n` the axis. */
#ifndef FS_OPS_PLACES_H
#define FS_OPS_PLACES_H

/* Where places stand: (outer or 1, count, inner or 1), contiguous: `own`: other ones for each outer; `each`: other ones
   for each inner. All are within [0, n). */
#define FS_PLACES_ARGS(INT) INT(outer) INT(n) INT(inner) INT(count) INT(own) INT(each)

/* y[o][k][i] = x[o][places[k]][i]; elements of `size` bytes (1 or 4). */
#define FS_GATHER_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(void, x, "(outer, n, inner)") IN(int32_t, places, "(outer or 1, count, inner or 1), checked")                   \
    OUT(void, y, "(outer, count, inner)") FS_PLACES_ARGS(INT) INT(size)

/* y = x, or zeros where x is null; then for k = 0, 1, 2 ... y[o][places[k]][i] = v[o][k][i], or is added to, and so on.
   kind: FS_PUT_*; of int32 where `whole` says so, else of float. */
#define FS_SCATTER_ARGS(IN, OUT, INT, NUM)                                                                             \
    IN(void, x, "(outer, n, inner) or null") IN(int32_t, places, "(outer or 1, count, inner or 1), checked")           \
    IN(void, v, "(outer, count, inner)") OUT(void, y, "(outer, n, inner)") FS_PLACES_ARGS(INT) INT(kind) INT(whole)

/* Where the `best` first of x stand in their order along the axis: ascending or descending, equal ones as they stand; a
   NaN is larger than all, zeros are equal. int32 where `whole` says so. */
#define FS_ARGSORT_ARGS(IN, OUT, INT, NUM)                                                                             \
    IN(void, x, "(outer, n, inner)") OUT(int32_t, y, "(outer, best, inner)")                                           \
    OUT(float, scratch, "(outer, 4 n)")                                                                                \
    INT(outer) INT(n) INT(inner) INT(best) INT(descending) INT(whole)

/* How many elements of a sorted sequence are below each value; `right`: or equal to it. NaN is larger than all. */
#define FS_SEARCH_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(void, sequence, "(n,), ascending") IN(void, x, "(count,)") OUT(int32_t, y, "(count,)")                          \
    INT(n) INT(count) INT(right) INT(whole)

/* y[k] = x[0] + ... + x[k], or their product, along the axis; `backwards` from its end. In double, element after element;
   int32, which wraps around, where `whole` says so. kind: FS_CUMULATED_* */
#define FS_CUMULATE_ARGS(IN, OUT, INT, NUM)                                                                            \
    IN(void, x, "(outer, n, inner)") OUT(void, y, "(outer, n, inner), may be x")                                       \
    INT(outer) INT(n) INT(inner) INT(kind) INT(backwards) INT(whole)
#endif
