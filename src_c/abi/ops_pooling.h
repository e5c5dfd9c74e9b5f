/* Windows over the middle axis of (outer, length, inner), each to one row of (outer, windows, inner). */
#ifndef FS_OPS_POOLING_H
#define FS_OPS_POOLING_H

/* Window w holds the places [w stride - before, w stride - before + size) that there are, one at least, and gives their
   largest value or their mean. Places are taken from the first one on, a mean's in double: its sum is rounded to float,
   then divided by their number. A NaN makes its window NaN; of equal values (-0 and 0) the first one stays. kind:
   FS_POOL_* */
#define FS_POOL_ARGS(IN, OUT, INT, NUM)                                                                                \
    IN(float, x, "(outer, length, inner)") OUT(float, y, "(outer, windows, inner)")                                    \
    INT(outer) INT(length) INT(inner) INT(windows) INT(size) INT(stride) INT(before) INT(kind)

/* dx = zeros, and for each window in turn: `max`, dy at the first place that is the window's y; `max_shared`, (1 / n)
   dy at each of the n that are; `mean`, dy / n at its n places. Of a largest value that is NaN nothing is given. */
#define FS_POOL_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                                       \
    IN(float, x, "(outer, length, inner); null for the mean")                                                          \
    IN(float, y, "(outer, windows, inner); null for the mean") IN(float, dy, "(outer, windows, inner)")                \
    OUT(float, dx, "(outer, length, inner)")                                                                           \
    INT(outer) INT(length) INT(inner) INT(windows) INT(size) INT(stride) INT(before) INT(kind)

#endif
