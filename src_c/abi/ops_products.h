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

/* y = a b for each of a batch, through BLAS; where transpose_a is 1, a is (batch, k, m), and so b (batch, n, k). */
#define FS_MATMUL_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(float, a, "(batch, m, k)") IN(float, b, "(batch, k, n)") OUT(float, y, "(batch, m, n)")                         \
    INT(batch) INT(m) INT(k) INT(n) INT(transpose_a) INT(transpose_b)

/* c = a' b over rows that stand in two dimensions: gradients of weights. `sums` gets those of b's columns (a bias).
   With splits > 1 the rows go in so many pieces, each to a c, and sums, of its own, one after the other: so a small c
   keeps several threads busy. */
#define FS_PRODUCT_TN_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, a, "(n0, n1, m) with strides a0, a1, 1")                                                                 \
    IN(float, b, "(n0, n1, n) with strides b0, b1, 1")                                                                 \
    OUT(float, c, "(splits, m, n), rows c_stride apart")                                                               \
    OUT(float, sums, "(splits, n) or null")                                                                            \
    INT(n0) INT(n1) INT(m) INT(n) INT(a0) INT(a1) INT(b0) INT(b1) INT(c_stride) INT(accumulate) INT(splits)

/* Weights into the layout of fastseq/packing.py: groups of up to `beside` panels, [rows][panels][gates][16] each, units
   that do not fill the panels padded with zeros. Row k, gate g, unit u is x[k x_k + g x_gate + u x_unit]. */
#define FS_PACK_ARGS(IN, OUT, INT, NUM)                                                                                \
    IN(float, x, "(rows, gates, units) with strides x_k, x_gate, x_unit")                                              \
    OUT(float, y, "packed")                                                                                            \
    INT(rows) INT(gates) INT(units) INT(panels) INT(beside) INT(x_k) INT(x_gate) INT(x_unit)
#endif
