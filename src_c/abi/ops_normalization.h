/* Rows by their mean and variance, channels by given ones, and the gradients of rows. */
#ifndef FS_OPS_NORMALIZATION_H
#define FS_OPS_NORMALIZATION_H

/* y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, with each row's own mean and variance. `rms`: the mean
   counts as 0, so that the variance is the mean of the squares. */
#define FS_LAYER_NORM_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, x, "(rows, n)") IN(float, gamma, "(n,) or null") IN(float, beta, "(n,) or null")                         \
    OUT(float, y, "(rows, n)")                                                                                         \
    OUT(float, trace, "(rows, 3): the mean, 1 / the root, and what the mean's rounding left; or null")                 \
    INT(rows) INT(n) INT(rms) NUM(epsilon)

/* dx, and the sums of the gradients of gamma and beta over blocks of FS_LAYER_NORM_ROWS rows. */
#define FS_LAYER_NORM_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                                 \
    IN(float, x, "(rows, n)") IN(float, gamma, "(n,) or null") IN(float, trace, "(rows, 3)")                           \
    IN(float, dy, "(rows, n)") OUT(float, dx, "(rows, n)")                                                             \
    OUT(float, d_gamma, "(ceil(rows / FS_LAYER_NORM_ROWS), n) or null")                                                \
    OUT(float, d_beta, "(ceil(rows / FS_LAYER_NORM_ROWS), n) or null")                                                 \
    INT(rows) INT(n) INT(rms)

/* y = x * scale + shift, one multiply-add, with scale = gamma / sqrt(variance + epsilon) and shift = beta - mean *
   scale for each place along the middle axis. */
#define FS_BATCH_NORM_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, x, "(outer, n, inner)") IN(float, mean, "(n,)") IN(float, variance, "(n,)")                              \
    IN(float, gamma, "(n,) or null") IN(float, beta, "(n,) or null") OUT(float, y, "(outer, n, inner)")                \
    INT(outer) INT(n) INT(inner) NUM(epsilon)

/* Over blocks of FS_LAYER_NORM_ROWS rows the sums of p and of p * q, where p = a - a_centre and q = b - b_centre. */
#define FS_CHANNEL_SUMS_ARGS(IN, OUT, INT, NUM)                                                                        \
    IN(float, a, "(rows, n)") IN(float, b, "(rows, n), or null where there is no second")                              \
    IN(float, a_centre, "(n,) or null for zeros") IN(float, b_centre, "(n,) or null for zeros")                        \
    OUT(float, sums, "(ceil(rows / FS_LAYER_NORM_ROWS), n)")                                                           \
    OUT(float, products, "(ceil(rows / FS_LAYER_NORM_ROWS), n) or null")                                               \
    INT(rows) INT(n)
#endif
