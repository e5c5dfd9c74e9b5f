/* Products: Dense, of two arrays, and of gradients; and what packs weights for them. */
#ifndef FS_OPS_PRODUCTS_H
#define FS_OPS_PRODUCTS_H

/* y = activation(x w + bias), and with `softmax` that of each row of it. */
#define FS_DENSE_ARGS(IN, OUT, INT, NUM)                                                                               \
    IN(float, x, "(rows, inputs), rows x_stride apart")                                                                \
    IN(void, w, "packed, groups of up to 4 panels: [inputs][panels][16] each")                                         \
    IN(float, bias, "(P, 16)")                                                                                         \
    OUT(float, y, "(rows, units), rows y_stride apart")                                                                \
    INT(rows) INT(inputs) INT(units) INT(x_stride) INT(y_stride)                                                       \
    INT(activation) NUM(p0) NUM(p1) NUM(p2) INT(softmax)

/* y = a b for each entry of a batch, each element in one chain over k = 0, 1, 2 ... from zero on. Any stride but
   those of y may be 0. */
#define FS_MATMUL_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(float, a, "(n0, n1, n2, m, k) with strides a0, a1, a2, am, ak")                                                 \
    IN(float, b, "(n0, n1, n2, k, n) with strides b0, b1, b2, bk, bn")                                                 \
    OUT(float, y, "(n0, n1, n2, m, n) with strides y0, y1, y2, ym, yn")                                                \
    INT(n0) INT(n1) INT(n2) INT(m) INT(k) INT(n)                                                                       \
    INT(a0) INT(a1) INT(a2) INT(am) INT(ak) INT(b0) INT(b1) INT(b2) INT(bk) INT(bn)                                    \
    INT(y0) INT(y1) INT(y2) INT(ym) INT(yn)

/* c = a' b over rows that stand in two dimensions: gradients of weights. `sums` gets those of b's columns (a bias).
   With splits > 1 the rows go in so many pieces, each to a c, and sums, of its own, one after the other: so a small c
   keeps several threads busy. */
#define FS_PRODUCT_TN_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, a, "(n0, n1, m) with strides a0, a1, 1")                                                                 \
    IN(float, b, "(n0, n1, n) with strides b0, b1, 1")                                                                 \
    OUT(float, c, "(splits, m, n), rows c_stride apart")                                                               \
    OUT(float, sums, "(splits, n) or null")                                                                            \
    INT(n0) INT(n1) INT(m) INT(n) INT(a0) INT(a1) INT(b0) INT(b1) INT(c_stride) INT(accumulate) INT(splits)

/* Weights into the layout of fastseq/program/packing.py: groups of up to `beside` panels, [rows][panels][gates][16]
   each, units that do not fill the panels padded with zeros. Row k, gate g, unit u stands at x[k x_k + g x_gate +
   u x_unit]. */
#define FS_PACK_ARGS(IN, OUT, INT, NUM)                                                                                \
    IN(float, x, "(rows, gates, units) with strides x_k, x_gate, x_unit")                                              \
    OUT(float, y, "packed")                                                                                            \
    INT(rows) INT(gates) INT(units) INT(panels) INT(beside) INT(x_k) INT(x_gate) INT(x_unit)
/* y[k] = sum over j of x[j] e^(sign 2 pi i j k / n), of each row. x is `given` elements of a row, the rest of n zeros;
   with `hermitian` it is the first n / 2 + 1 of n, which are their conjugates backwards. doubled: but for the first and
   the middle one, results count twice; divides: by n. */
#define FS_FOURIER_ARGS(IN, OUT, INT, NUM)                                                                             \
    IN(float, re, "(rows, given)") IN(float, im, "(rows, given) or null")                                              \
    IN(void, roots, "(n, 2) or (padded, 2) doubles: cos and sin of 2 pi j / n, or of 2 pi j / padded")                 \
    IN(void, chirp, "(n, 2) doubles: cos and sin of pi j^2 / n; null without padded")                                  \
    OUT(float, y_re, "(rows, wanted)") OUT(float, y_im, "(rows, wanted) or null")                                      \
    OUT(void, scratch, "for each of up to FS_FOURIER_GROUPS groups of rows 2 n + 3 padded pairs of doubles")           \
    INT(rows) INT(n) INT(padded) INT(given) INT(wanted) INT(sign) INT(hermitian) INT(doubled) INT(divides)
#endif
