/* Every operation a program step can be, with its arguments, once. The lists below become
   - the args structs that kernels read (fs_<op>_args),
   - the field tables by which Cython fills them by name (dispatch.c),
   - the kernel declarations of every ISA (kernel_list.h).
   IN and OUT rows give a pointer's element type, name and shape; INT rows are int64_t, NUM rows float.
   B batch, T timesteps, I inputs, H units; P = ceil(H / 16) panels of 16 units; G gates. */
#ifndef FS_OPS_H
#define FS_OPS_H
#include <stdint.h>

#define FS_PANEL 16 /* units that stand side by side in packed weights, on every ISA */

#define FS_OPS(OP)                                                                                                     \
    OP(DENSE, dense)                                                                                                   \
    OP(LSTM, lstm)                                                                                                     \
    OP(GRU, gru)                                                                                                       \
    OP(GRU_RESET_BEFORE, gru_reset_before)                                                                             \
    OP(SIMPLE_RNN, simple_rnn)                                                                                         \
    OP(RECURRENT_GENERAL, recurrent_general)                                                                           \
    OP(CHECK_IDS, check_ids)                                                                                           \
    OP(EMBEDDING, embedding)                                                                                           \
    OP(ONE_HOT, one_hot)                                                                                               \
    OP(CAST, cast)                                                                                                     \
    OP(COPY, copy)                                                                                                     \
    OP(ACTIVATION, activation)                                                                                         \
    OP(ROW_ACTIVATION, row_activation)                                                                                 \
    OP(BINARY, binary)                                                                                                 \
    OP(AFFINE, affine)                                                                                                 \
    OP(SELECT, select)                                                                                                 \
    OP(MASKING, masking)                                                                                               \
    OP(MASK_LOGIC, mask_logic)                                                                                         \
    OP(RANDOM, random)                                                                                                 \
    OP(CHOICE, choice)                                                                                                 \
    OP(MATMUL, matmul)                                                                                                 \
    OP(NORMALIZE, normalize)                                                                                           \
    OP(SGD, sgd)                                                                                                       \
    OP(RMSPROP, rmsprop)                                                                                               \
    OP(ADAM, adam)                                                                                                     \
    OP(NADAM, nadam)                                                                                                   \
    OP(ADAGRAD, adagrad)                                                                                               \
    OP(ADADELTA, adadelta)                                                                                             \
    OP(SUM_SQUARES, sum_squares)                                                                                       \
    OP(CLIP_SCALE, clip_scale)                                                                                         \
    OP(LSTM_BACKWARD, lstm_backward)                                                                                   \
    OP(GRU_BACKWARD, gru_backward)                                                                                     \
    OP(GRU_RESET_BEFORE_BACKWARD, gru_reset_before_backward)                                                           \
    OP(SIMPLE_RNN_BACKWARD, simple_rnn_backward)                                                                       \
    OP(RECURRENT_GENERAL_BACKWARD, recurrent_general_backward)                                                         \
    OP(PRODUCT_TN, product_tn)                                                                                         \
    OP(PACK, pack)                                                                                                     \
    OP(ACTIVATION_BACKWARD, activation_backward)                                                                       \
    OP(ROW_ACTIVATION_BACKWARD, row_activation_backward)                                                               \
    OP(EMBEDDING_BACKWARD, embedding_backward)                                                                         \
    OP(EMBEDDING_PLACES, embedding_places)                                                                             \
    OP(REDUCE_SUM, reduce_sum)                                                                                         \
    OP(NORMALIZE_BACKWARD, normalize_backward)                                                                         \
    OP(LOSS_WEIGHTS, loss_weights)                                                                                     \
    OP(LOSS, loss)                                                                                                     \
    OP(HITS, hits)                                                                                                     \
    OP(COLUMN_SUMS, column_sums)

/* y = activation(x w + bias), and with `softmax` that of each row of it. */
#define FS_DENSE_ARGS(IN, OUT, INT, NUM)                                                                               \
    IN(float, x, "(rows, inputs), rows x_stride apart")                                                                \
    IN(float, w, "packed, groups of up to 4 panels: [inputs][panels][16] each")                                        \
    IN(float, bias, "(P, 16)")                                                                                         \
    OUT(float, y, "(rows, units), rows y_stride apart")                                                                \
    INT(rows) INT(inputs) INT(units) INT(x_stride) INT(y_stride)                                                       \
    INT(activation) NUM(p0) NUM(p1) NUM(p2) INT(softmax)

/* The recurrent layers. Strides are in floats; a negative one walks backwards, from a pointer to the last element. A
   product always takes about four vectors of weights for each k. So SimpleRNN, with one gate, has four panels side by
   side in the place of gates, [P/4][K][4][16] and a bias of [P/4][4][16]. GRU_RESET_BEFORE has two products: z and r of
   two panels, [P/2][K][2 panels][z r][16], then the candidates of four; w_x and bias hold the first, then the second.
   `down`: the first timestep walks its units from the last to the first, as one that follows another step does.
   With ids, K comes first in w_x: [I][P][G][16], so that an id's sums are one piece of memory. */
#define FS_RECURRENT_ARGS(IN, OUT, INT, NUM)                                                                           \
    IN(float, x, "(B, T, I), strides x_row, x_time, 1; not read where there are ids")                                  \
    IN(int32_t, ids, "(B, T), strides x_row, x_time, or null: rows of w_x that are the input's sums, bias and all")    \
    IN(uint8_t, mask, "(B, T), strides mask_row, mask_time, or null: 0 keeps the state")                               \
    IN(float, h0, "(B, H) or null for zeros")                                                                          \
    IN(float, c0, "(B, H) or null; LSTM")                                                                              \
    IN(float, w_x, "packed input kernel, by panels: [P][I][G][16]; others see above")                                  \
    IN(float, w_h, "packed recurrent kernel: [P][H][G][16]; others see above")                                         \
    IN(float, w_c, "packed candidate kernel [P/4][H][4][16] of a GRU that resets before the product, else null")       \
    IN(float, bias, "[P][4][16]; others see above")                                                                    \
    OUT(float, y, "(B, T, H), strides y_row, y_time, 1; (B, H) without sequences")                                     \
    OUT(float, hn, "(B, H) or null")                                                                                   \
    OUT(float, cn, "(B, H) or null; LSTM")                                                                             \
    OUT(float, scratch, "fs_recurrent_scratch() floats")                                                               \
    OUT(float, trace, "(T, B, W / 16, n, 16) for the backward op, in the order of the walk, or null")                  \
    OUT(float, states, "(B, T, H): h after each step, in the order of the walk, or null; gated: with a trace only")    \
    INT(batch) INT(timesteps) INT(inputs) INT(units)                                                                   \
    INT(x_row) INT(x_time) INT(mask_row) INT(mask_time) INT(y_row) INT(y_time)                                         \
    INT(sequences) INT(zero_masked) INT(finite_kernel) INT(down)                                                       \
    INT(activation) NUM(a0) NUM(a1) NUM(a2)                                                                            \
    INT(recurrent_activation) NUM(r0) NUM(r1) NUM(r2)

#define FS_LSTM_ARGS FS_RECURRENT_ARGS
#define FS_GRU_ARGS FS_RECURRENT_ARGS
#define FS_GRU_RESET_BEFORE_ARGS FS_RECURRENT_ARGS
#define FS_SIMPLE_RNN_ARGS FS_RECURRENT_ARGS

/* Any recurrent layer with anything the kernels above leave out: row-wise activations (softmax over the units), and
   dropout masks per gate. Plain weights, gate after gate. */
#define FS_RECURRENT_GENERAL_ARGS(IN, OUT, INT, NUM)                                                                   \
    IN(float, x, "(B, T, I), strides x_row, x_time, 1")                                                                \
    IN(uint8_t, mask, "(B, T), strides mask_row, mask_time, or null")                                                  \
    IN(float, h0, "(B, H) or null for zeros")                                                                          \
    IN(float, c0, "(B, H) or null; LSTM")                                                                              \
    IN(float, kernel, "(I, G H)")                                                                                      \
    IN(float, recurrent_kernel, "(H, G H)")                                                                            \
    IN(float, bias, "(G H,), or (2, G H) for a GRU that resets after, or null")                                        \
    IN(float, x_dropout, "(x_masks, B, I) factors of the inputs, one per gate or one for all, or null")                \
    IN(float, h_dropout, "(h_masks, B, H) factors of the state, one per gate or one for all, or null")                 \
    OUT(float, y, "(B, T, H), strides y_row, y_time, 1; (B, H) without sequences")                                     \
    OUT(float, hn, "(B, H) or null")                                                                                   \
    OUT(float, cn, "(B, H) or null; LSTM")                                                                             \
    OUT(float, scratch, "(B, 14, H)")                                                                                  \
    OUT(float, trace, "(B, T, n, H) for the backward op, in the order of the walk, or null")                           \
    OUT(float, states, "(B, T, H): h after each step, in the order of the walk, or null")                              \
    INT(cell) INT(batch) INT(timesteps) INT(inputs) INT(units)                                                         \
    INT(x_row) INT(x_time) INT(mask_row) INT(mask_time) INT(y_row) INT(y_time)                                         \
    INT(sequences) INT(zero_masked) INT(x_masks) INT(h_masks)                                                          \
    INT(activation) NUM(a0) NUM(a1) NUM(a2)                                                                            \
    INT(recurrent_activation) NUM(r0) NUM(r1) NUM(r2)

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

/* y = a b for each of a batch, through BLAS; where transpose_a is 1, a is (batch, k, m), and so b (batch, n, k). */
#define FS_MATMUL_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(float, a, "(batch, m, k)") IN(float, b, "(batch, k, n)") OUT(float, y, "(batch, m, n)")                         \
    INT(batch) INT(m) INT(k) INT(n) INT(transpose_a) INT(transpose_b)

/* y = x / sqrt(max(sum of squares along the middle axis, epsilon)) */
#define FS_NORMALIZE_ARGS(IN, OUT, INT, NUM)                                                                           \
    IN(float, x, "(outer, n, inner)") OUT(float, y, "(outer, n, inner)") INT(outer) INT(n) INT(inner) NUM(epsilon)

/* One step of an optimizer over one array of weights; what hyper and the state arrays hold for each of them is told in
   kernels/optimizer_inl.h. The gradient is multiplied with `scale` first. With places the gradient of row r of the
   weights, `width` of them, is row places[r] of g. */
#define FS_UPDATE_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(float, g, "(count,) gradient; with places (.., width), row 0 zeros")                                            \
    IN(int32_t, places, "(count / width,) or null")                                                                    \
    IN(float, scale, "(1,)")                                                                                           \
    IN(float, hyper, "(10,): learning rate, decay of the weights, limit of clipping, 1 / loss scale, then its own")    \
    OUT(float, w, "(count,) weights")                                                                                  \
    OUT(float, state0, "(count,) or null")                                                                             \
    OUT(float, state1, "(count,) or null")                                                                             \
    OUT(float, state2, "(count,) or null")                                                                             \
    INT(count) INT(decays) INT(clips) INT(option) INT(width)

#define FS_SGD_ARGS FS_UPDATE_ARGS
#define FS_RMSPROP_ARGS FS_UPDATE_ARGS
#define FS_ADAM_ARGS FS_UPDATE_ARGS
#define FS_NADAM_ARGS FS_UPDATE_ARGS
#define FS_ADAGRAD_ARGS FS_UPDATE_ARGS
#define FS_ADADELTA_ARGS FS_UPDATE_ARGS

/* partial[b] = sum of x^2 over block b, of FS_NORM_BLOCK elements but for the last. fastseq/optimizers/native.py knows
   the number too. */
#define FS_NORM_BLOCK 4096
#define FS_SUM_SQUARES_ARGS(IN, OUT, INT, NUM)                                                                         \
    IN(float, x, "(count,)") OUT(float, partial, "(ceil(count / FS_NORM_BLOCK),)") INT(count)

/* scale = hyper's 1 / loss scale, times what brings the norm, the root of the sum of `partial`, down to its limit */
#define FS_CLIP_SCALE_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, partial, "(count,)") IN(float, hyper, "as above") OUT(float, scale, "(1,)") INT(count) INT(whole)

/* What training adds: gradients. A name with d_ is the gradient of the loss by what the rest of the name says. */

/* Backward through time, of what a recurrent op with a trace did. All steps are in the order of its walk. dz has the
   gates as Keras keeps them: i f c o, z r h; after them, for a GRU that resets after the product, the gradient of h's
   sum over the state alone. SimpleRNN goes without a trace for linear, tanh, sigmoid, relu without parameters and
   exponential; for other activations it needs one. y itself serves as h where it has all states: with sequences, and
   under a mask without zero_masked and h0. */
#define FS_RECURRENT_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                                  \
    IN(float, dy, "(B, T, H), strides dy_row, dy_time, 1; (B, H) without sequences; or null")                          \
    IN(float, dhn, "(B, H) or null") IN(float, dcn, "(B, H) or null; LSTM")                                            \
    IN(uint8_t, mask, "(B, T), strides mask_row, mask_time, or null")                                                  \
    IN(float, trace, "(T, B, W / 16, n, 16)")                                                                          \
    IN(float, h, "(B, T, H) after each step, strides h_row, h_time, 1; not read for LSTM")                             \
    IN(float, h0, "(B, H) or null for zeros; not read for LSTM")                                                       \
    IN(float, w_h, "transposed recurrent kernel (K, H), groups of up to 4 panels: [K][panels][16] each; K = G H")      \
    IN(float, w_c, "the same of the candidate, K = H, for a GRU that resets before; then w_h is z and r, K = 2 H")     \
    OUT(float, dz, "(B, T, G, H), strides dz_row, dz_time, H, 1; zeros in masked steps")                               \
    OUT(float, reset_h, "(B, T, H) r * h of a GRU that resets before, zeros in masked steps, or null")                 \
    OUT(float, dh0, "(B, H) or null") OUT(float, dc0, "(B, H) or null; LSTM")                                          \
    OUT(float, scratch, "(2, B, W)")                                                                                   \
    INT(batch) INT(timesteps) INT(units)                                                                               \
    INT(dy_row) INT(dy_time) INT(mask_row) INT(mask_time) INT(h_row) INT(h_time) INT(dz_row) INT(dz_time)              \
    INT(sequences) INT(zero_masked)                                                                                    \
    INT(activation) NUM(a0) NUM(a1) NUM(a2)                                                                            \
    INT(recurrent_activation) NUM(r0) NUM(r1) NUM(r2)

#define FS_LSTM_BACKWARD_ARGS FS_RECURRENT_BACKWARD_ARGS
#define FS_GRU_BACKWARD_ARGS FS_RECURRENT_BACKWARD_ARGS
#define FS_GRU_RESET_BEFORE_BACKWARD_ARGS FS_RECURRENT_BACKWARD_ARGS
#define FS_SIMPLE_RNN_BACKWARD_ARGS FS_RECURRENT_BACKWARD_ARGS

/* Back through time for recurrent_general. The trace has the gates' sums before their activations, n of them: LSTM 5,
   with c before the step; GRU 4, with the candidate's recurrent sum; GRU that resets before 3; SimpleRNN 1. */
#define FS_RECURRENT_GENERAL_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                          \
    IN(float, dy, "(B, T, H), strides dy_row, dy_time, 1; (B, H) without sequences; or null")                          \
    IN(float, dhn, "(B, H) or null") IN(float, dcn, "(B, H) or null; LSTM")                                            \
    IN(uint8_t, mask, "(B, T), strides mask_row, mask_time, or null")                                                  \
    IN(float, trace, "(B, T, n, H)")                                                                                   \
    IN(float, h, "(B, T, H) after each step, strides h_row, h_time, 1; read for a GRU")                                \
    IN(float, h0, "(B, H) or null for zeros; read for a GRU")                                                          \
    IN(float, w_h, "transposed recurrent kernel (G H, H), groups of up to 4 panels: [G H][panels][16] each")           \
    IN(float, h_dropout, "(h_masks, B, H) factors of the state, one per gate or one for all, or null")                 \
    OUT(float, dz, "(B, T, G, H), G as for the other cells' dz, strides dz_row, dz_time, H, 1; zeros in masked steps") \
    OUT(float, reset_h, "(B, T, H) r * h * factors of a GRU that resets before, zeros in masked steps, or null")       \
    OUT(float, dh0, "(B, H) or null") OUT(float, dc0, "(B, H) or null; LSTM")                                          \
    OUT(float, scratch, "(B, 12, P 16)")                                                                               \
    INT(cell) INT(batch) INT(timesteps) INT(units)                                                                     \
    INT(dy_row) INT(dy_time) INT(mask_row) INT(mask_time) INT(h_row) INT(h_time) INT(dz_row) INT(dz_time)              \
    INT(sequences) INT(zero_masked) INT(h_masks)                                                                       \
    INT(activation) NUM(a0) NUM(a1) NUM(a2)                                                                            \
    INT(recurrent_activation) NUM(r0) NUM(r1) NUM(r2)

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

/* y = what each row's value counts in a reduced loss. reduction: FS_REDUCE_*. */
#define FS_LOSS_WEIGHTS_ARGS(IN, OUT, INT, NUM)                                                                        \
    IN(uint8_t, mask, "(rows,) or null") IN(float, weights, "(rows,) or null") OUT(float, y, "(rows,)")                \
    INT(rows) INT(reduction)

/* dx = factor * (the reduced loss's derivative by x), and the loss itself in parts: partial[b] is that of block b, of
   FS_LOSS_BLOCK rows but for the last. A label counts as label_scale * y + label_shift. kind: FS_LOSS_*. `logits`: x is
   what would go into a softmax or sigmoid. fastseq/training/native_loss.py knows FS_LOSS_BLOCK too. */
#define FS_LOSS_BLOCK 32
#define FS_LOSS_ARGS(IN, OUT, INT, NUM)                                                                                \
    IN(float, x, "(rows, n)")                                                                                          \
    IN(float, y, "(rows, n), or null where there are classes")                                                         \
    IN(int32_t, classes, "(rows,), checked, or null; the crossentropy of class numbers")                               \
    IN(float, weights, "(rows,) of loss_weights, or null where every row counts `even`")                               \
    OUT(float, dx, "(rows, n) or null")                                                                                \
    OUT(double, partial, "(ceil(rows / FS_LOSS_BLOCK),)")                                                              \
    INT(rows) INT(n) INT(kind) INT(logits) NUM(even) NUM(factor) NUM(label_scale) NUM(label_shift) NUM(delta)

/* partial[b] = (sum of hits, sum of weights) over the rows of block b. kind: FS_HITS_*. */
#define FS_HITS_ARGS(IN, OUT, INT, NUM)                                                                                \
    IN(float, x, "(rows, n)")                                                                                          \
    IN(float, y, "(rows, n), or null where there are classes") IN(int32_t, classes, "(rows,) or null")                 \
    IN(uint8_t, mask, "(rows,) or null") IN(float, weights, "(rows,) or null for ones")                                \
    OUT(double, partial, "(ceil(rows / FS_LOSS_BLOCK), 2)")                                                            \
    INT(rows) INT(n) INT(kind) NUM(threshold)

/* y = sums of x's columns, from the first row to the last */
#define FS_COLUMN_SUMS_ARGS(IN, OUT, INT, NUM)                                                                         \
    IN(double, x, "(count, width)") OUT(double, y, "(width,)") INT(count) INT(width)

enum fs_cast_kind { FS_CAST_F32_I32, FS_CAST_I32_F32, FS_CAST_U8_F32, FS_CAST_U8_I32, FS_CAST_I32_U8, FS_CAST_F32_U8 };
enum fs_binary_kind {
    FS_ADD, FS_SUBTRACT, FS_MULTIPLY, FS_DIVIDE, FS_MAXIMUM, FS_MINIMUM, FS_PRELU, FS_AT_LEAST, FS_ABOVE,
    FS_ADD_I32, FS_SUBTRACT_I32, FS_MULTIPLY_I32, FS_MAXIMUM_I32, FS_MINIMUM_I32
};
enum fs_mask_kind { FS_MASK_AND, FS_MASK_OR, FS_MASK_NOT, FS_MASK_NONZERO_I32, FS_MASK_NONZERO_F32 };
enum fs_random_kind { FS_RANDOM_KEEP, FS_RANDOM_NORMAL };
enum fs_choice_kind { FS_CHOICE_BEST, FS_CHOICE_DRAW };
enum fs_loss_kind {
    FS_LOSS_SQUARED, FS_LOSS_ABSOLUTE, FS_LOSS_HUBER, FS_LOSS_DIVERGENCE, FS_LOSS_BINARY, FS_LOSS_CATEGORICAL,
    FS_LOSS_SPARSE, FS_LOSS_PERCENTAGE
};
enum fs_loss_reduction { FS_REDUCE_SUM, FS_REDUCE_MEAN, FS_REDUCE_WEIGHTED_MEAN };
enum fs_hits_kind { FS_HITS_LARGEST, FS_HITS_ABOVE };
enum fs_cell { FS_CELL_LSTM, FS_CELL_GRU, FS_CELL_GRU_RESET_BEFORE, FS_CELL_SIMPLE_RNN };

#define FS_STRUCT_IN(type, name, shape) const type *name;
#define FS_STRUCT_OUT(type, name, shape) type *name;
#define FS_STRUCT_INT(name) int64_t name;
#define FS_STRUCT_NUM(name) float name;
#define FS_STRUCT(upper, lower)                                                                                        \
    typedef struct {                                                                                                   \
        FS_##upper##_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)                                   \
    } fs_##lower##_args;
typedef struct {
    FS_RECURRENT_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)
} fs_recurrent_args; /* the four recurrent ops share one layout */
typedef struct {
    FS_UPDATE_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)
} fs_update_args; /* and so do the optimizers */
typedef struct {
    FS_RECURRENT_BACKWARD_ARGS(FS_STRUCT_IN, FS_STRUCT_OUT, FS_STRUCT_INT, FS_STRUCT_NUM)
} fs_recurrent_backward_args; /* and so do their backward ones */
FS_OPS(FS_STRUCT)

enum fs_op_id {
#define FS_OP_ID(upper, lower) FS_OP_##upper,
    FS_OPS(FS_OP_ID)
#undef FS_OP_ID
        FS_OP_COUNT
};
#endif
