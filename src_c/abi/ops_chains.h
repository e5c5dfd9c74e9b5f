/* Chains of elementwise operations, and reductions of what they give: one pass over memory (kernels/chain_inl.h). */
#ifndef FS_OPS_CHAINS_H
#define FS_OPS_CHAINS_H

/* A register is an input, then a number, then a result of an instruction, in this order. */
#define FS_CHAIN_ARGS(IN, OUT, INT, NUM)                                                                               \
    IN(int32_t, code, "(instructions + outputs, 5): operation, register of the result, three operands; and behind "    \
                      "them, for each output, 0 and the register that it is")                                          \
    IN(float, numbers, "(number_count,), int32 bits for operations on int32")                                          \
    IN(void, x0, "(n0, n1, n2, n3, n4) with strides s00..s04, in elements; x1 with s10..s14 ...")                      \
    IN(void, x1, "as x0, or null") IN(void, x2, "as x0") IN(void, x3, "as x0") IN(void, x4, "as x0")                   \
    IN(void, x5, "as x0") IN(void, x6, "as x0") IN(void, x7, "as x0")                                                  \
    INT(instructions) INT(inputs) INT(number_count) INT(bytes_in) /* bit i: x<i> is bool, of one byte */               \
    INT(n0) INT(n1) INT(n2) INT(n3) INT(n4)                                                                            \
    INT(s00) INT(s01) INT(s02) INT(s03) INT(s04) INT(s10) INT(s11) INT(s12) INT(s13) INT(s14)                          \
    INT(s20) INT(s21) INT(s22) INT(s23) INT(s24) INT(s30) INT(s31) INT(s32) INT(s33) INT(s34)                          \
    INT(s40) INT(s41) INT(s42) INT(s43) INT(s44) INT(s50) INT(s51) INT(s52) INT(s53) INT(s54)                          \
    INT(s60) INT(s61) INT(s62) INT(s63) INT(s64) INT(s70) INT(s71) INT(s72) INT(s73) INT(s74)

#define FS_ELEMENTWISE_ARGS(IN, OUT, INT, NUM)                                                                         \
    FS_CHAIN_ARGS(IN, OUT, INT, NUM)                                                                                   \
    OUT(void, y0, "(n0, n1, n2, n3, n4), contiguous") OUT(void, y1, "as y0, or null") OUT(void, y2, "as y0")           \
    OUT(void, y3, "as y0") INT(outputs) INT(bytes_out) /* bit i: y<i> is bool */

/* y = the chain's one output, reduced over the dimensions whose bit is set in `reduced`. Sums, means and products are
   taken in double, in the order of the reduced elements: with last = 0 one after the other; with last = 1, where the
   last axis is one of those that are reduced, element r in lane r % 32, and the lanes in one tree. So the bits depend
   on which axes are reduced and on their sizes, and on nothing else. */
#define FS_REDUCE_ARGS(IN, OUT, INT, NUM)                                                                              \
    FS_CHAIN_ARGS(IN, OUT, INT, NUM)                                                                                   \
    OUT(void, y, "the dimensions that are not reduced, contiguous; bytes for bool_out") INT(kind) INT(reduced)         \
    INT(last) INT(bool_out)
#endif
