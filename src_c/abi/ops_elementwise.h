/* One element after the other, or one row: ids, casts, copies, activations, masks, random numbers, choices, sums, and
   their gradients. */
#ifndef FS_OPS_ELEMENTWISE_H
#define FS_OPS_ELEMENTWISE_H

/* Fails, with the position and the id, where an id is outside [0, limit). */
#define FS_CHECK_IDS_ARGS(IN, OUT, INT, NUM)                                                                           \
    IN(int32_t, ids, "(count,)")                                                                                       \
    IN(float, floats, "(count,), what the ids were made of, for the report; or NULL")                                  \
    INT(count) INT(limit)

/* y[i] = table[ids[i]] */
#define FS_EMBEDDING_ARGS(IN, OUT, INT, NUM)                                                                           \
    IN(int32_t, ids, "(count,), checked")                                                                              \
    IN(float, table, "(rows, width)")                                                                                  \
    OUT(float, y, "(count, width)")                                                                                    \
    INT(count) INT(width)

/* y = zeros, and a one at the id of each row */
#define FS_ONE_HOT_ARGS(IN, OUT, INT, NUM)                                                                             \
    IN(int32_t, ids, "(count,), checked") OUT(float, y, "(count, width)") INT(count) INT(width)

/* kind: FS_CAST_* */
#define FS_CAST_ARGS(IN, OUT, INT, NUM) IN(void, x, "(count,)") OUT(void, y, "(count,)") INT(count) INT(kind)

/* y = x for any strides, in elements of `size` bytes (1 or 4). Dimensions that are not there have size 1. */
#define FS_COPY_ARGS(IN, OUT, INT, NUM)                                                                                \
    IN(void, x, "(n0, n1, n2, n3, n4) with strides x0..x4")                                                            \
    OUT(void, y, "(n0, n1, n2, n3, n4) with strides y0..y4")                                                           \
    INT(size) INT(n0) INT(n1) INT(n2) INT(n3) INT(n4)                                                                  \
    INT(x0) INT(x1) INT(x2) INT(x3) INT(x4) INT(y0) INT(y1) INT(y2) INT(y3) INT(y4)

#define FS_ACTIVATION_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, x, "(count,)") OUT(float, y, "(count,), may be x")                                                       \
    INT(count) INT(kind) NUM(p0) NUM(p1) NUM(p2)

/* A row-wise activation along the middle axis. */
#define FS_ROW_ACTIVATION_ARGS(IN, OUT, INT, NUM)                                                                      \
    IN(float, x, "(outer, n, inner)")                                                                                  \
    OUT(float, y, "(outer, n, inner); (outer, n/2, inner) for glu")                                                    \
    OUT(float, scratch, "(outer, 3, n) where inner > 1 and for log_softmax, sparsemax")                                \
    INT(outer) INT(n) INT(inner) INT(kind)

/* y = a op b, broadcast by strides of 0; on int32_t for the kinds FS_*_I32, else on float. */
#define FS_BINARY_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(void, a, "(n0, n1, n2, n3, n4) with strides a0..a4")                                                            \
    IN(void, b, "(n0, n1, n2, n3, n4) with strides b0..b4")                                                            \
    OUT(void, y, "(n0, n1, n2, n3, n4), contiguous; may be a")                                                         \
    INT(kind) INT(n0) INT(n1) INT(n2) INT(n3) INT(n4)                                                                  \
    INT(a0) INT(a1) INT(a2) INT(a3) INT(a4) INT(b0) INT(b1) INT(b2) INT(b3) INT(b4)

/* y = x * scale + shift */
#define FS_AFFINE_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(float, x, "(count,)") OUT(float, y, "(count,), may be x") INT(count) NUM(scale) NUM(shift)

/* y = mask ? a : b, broadcast by strides of 0; elements of 4 bytes. */
#define FS_SELECT_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(uint8_t, mask, "(n0, n1, n2, n3, n4) with strides m0..m4")                                                      \
    IN(void, a, "(n0, n1, n2, n3, n4) with strides a0..a4")                                                            \
    IN(void, b, "(n0, n1, n2, n3, n4) with strides b0..b4")                                                            \
    OUT(void, y, "(n0, n1, n2, n3, n4), contiguous")                                                                   \
    INT(n0) INT(n1) INT(n2) INT(n3) INT(n4) INT(m0) INT(m1) INT(m2) INT(m3) INT(m4)                                    \
    INT(a0) INT(a1) INT(a2) INT(a3) INT(a4) INT(b0) INT(b1) INT(b2) INT(b3) INT(b4)

/* mask = any(x != value, last axis); y = x where mask, else 0 */
#define FS_MASKING_ARGS(IN, OUT, INT, NUM)                                                                             \
    IN(float, x, "(rows, width)") OUT(float, y, "(rows, width)") OUT(uint8_t, mask, "(rows,)")                         \
    INT(rows) INT(width) NUM(value)

/* kind: FS_MASK_*; b is null for the kinds that read one array */
#define FS_MASK_LOGIC_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(void, a, "(count,) bytes, or int32 for nonzero_i32, float for nonzero_f32")                                     \
    IN(uint8_t, b, "(count,) or null") OUT(uint8_t, y, "(count,)") INT(count) INT(kind)

/* Random numbers from a counter: y depends on seed, the state's count and the position, not on threads. */
#define FS_RANDOM_ARGS(IN, OUT, INT, NUM)                                                                              \
    OUT(uint32_t, state, "(2,): seed and a count that every call advances")                                            \
    OUT(float, y, "(count,)") INT(count) INT(kind) NUM(p0) NUM(p1)

/* The next token of each row, or the `best` most probable ones, largest first, equal ones in their order. Fails with
   the row where one is NaN, or where none is finite. kind: FS_CHOICE_*; a draw takes one token: from the top_k most
   probable ones (0: all), of these the fewest that have a share of top_p together, at a temperature. */
#define FS_CHOICE_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(float, x, "(rows, n) logits, or probabilities where `probabilities` says so; n up to 2^24")                     \
    IN(uint64_t, keys, "(rows,) what a draw's random number is made of, else null")                                    \
    OUT(int32_t, ids, "(rows, best)")                                                                                  \
    OUT(float, log_probs, "(rows, best) of the model, at temperature 1; or null")                                      \
    OUT(float, scratch, "(rows, 3 n), rows scratch_row apart")                                                       \
    INT(rows) INT(n) INT(best) INT(kind) INT(probabilities) INT(scratch_row) INT(top_k) NUM(temperature) NUM(top_p)

/* y = x / sqrt(max(sum of squares along the middle axis, epsilon)) */
#define FS_NORMALIZE_ARGS(IN, OUT, INT, NUM)                                                                           \
    IN(float, x, "(outer, n, inner)") OUT(float, y, "(outer, n, inner)") INT(outer) INT(n) INT(inner) NUM(epsilon)

/* dx = dy * slope at x, or at y where x is null: for linear, tanh, sigmoid, relu without parameters, exponential. */
#define FS_ACTIVATION_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                                 \
    IN(float, x, "(count,) what went in, or null") IN(float, y, "(count,) what came out; not read where there is x")   \
    IN(float, dy, "(count,)") OUT(float, dx, "(count,), may be dy")                                                    \
    INT(count) INT(kind) NUM(p0) NUM(p1) NUM(p2)

/* softmax and log_softmax from y, sparsemax and glu from x. */
#define FS_ROW_ACTIVATION_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                             \
    IN(float, x, "(outer, n, inner); sparsemax and glu, else not read")                                                \
    IN(float, y, "(outer, n, inner); softmax and log_softmax, else not read")                                          \
    IN(float, dy, "(outer, n, inner); (outer, n/2, inner) for glu")                                                    \
    OUT(float, dx, "(outer, n, inner)")                                                                                \
    OUT(float, scratch, "(outer, 3, n) for sparsemax, else not read")                                                  \
    INT(outer) INT(n) INT(inner) INT(kind)

/* d_table[ids[i]] += dy[i], i = 0, 1, 2 ...; without `accumulate` from zeros. */
#define FS_EMBEDDING_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                                  \
    IN(int32_t, ids, "(count,), checked") IN(float, dy, "(count, width)") OUT(float, d_table, "(rows, width)")         \
    INT(count) INT(width) INT(rows) INT(accumulate)

/* Numbers from 1 on for the ids that there are, in the order they come: places[id], 0 for the others, and numbers[i] of
   ids[i]. `seen` and `count_seen` list them, so that the next run clears no more of `places` than this one set; all
   three stay between runs, and begin as zeros. */
#define FS_EMBEDDING_PLACES_ARGS(IN, OUT, INT, NUM)                                                                    \
    IN(int32_t, ids, "(count,), checked") OUT(int32_t, numbers, "(count,)") OUT(int32_t, places, "(rows,)")            \
    OUT(int32_t, seen, "(count,)") OUT(int32_t, count_seen, "(1,)") INT(count)

/* y = or += sums of x over up to three dimensions. Dimensions that are not there have size 1. */
#define FS_REDUCE_SUM_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, x, "(k0, k1, k2, r0, r1, r2) with strides xk0..xk2, xr0..xr2")                                           \
    OUT(float, y, "(k0, k1, k2), contiguous")                                                                          \
    INT(k0) INT(k1) INT(k2) INT(r0) INT(r1) INT(r2)                                                                    \
    INT(xk0) INT(xk1) INT(xk2) INT(xr0) INT(xr1) INT(xr2) INT(accumulate)

#define FS_NORMALIZE_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                                  \
    IN(float, x, "(outer, n, inner)") IN(float, dy, "(outer, n, inner)") OUT(float, dx, "(outer, n, inner)")           \
    INT(outer) INT(n) INT(inner) NUM(epsilon)
#endif
