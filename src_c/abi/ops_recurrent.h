/* Recurrent layers, and what goes back through their time. */
#ifndef FS_OPS_RECURRENT_H
#define FS_OPS_RECURRENT_H

/* The recurrent layers. Strides are in floats; a negative one walks backwards, from a pointer to the last element. A
   product always takes about four vectors of weights for each k. So SimpleRNN, with one gate, has four panels side by
   side in the place of gates, [P/4][K][4][16] and a bias of [P/4][4][16]. GRU_RESET_BEFORE has two products: z and r of
   two panels, [P/2][K][2 panels][z r][16], then the candidates of four; w_x and bias hold the first, then the second.
   `down` is 1 where the step that ran before this one ended at its last unit: then the first timestep walks the units
   from the last to the first, because the caches still hold the last unit's weights (fs_alternates).
   With ids, K comes first in w_x: [I][P][G][16], so that an id's sums are one piece of memory. */
#define FS_RECURRENT_ARGS(IN, OUT, INT, NUM)                                                                           \
    IN(float, x, "(B, T, I), strides x_row, x_time, 1; not read where there are ids")                                  \
    IN(int32_t, ids, "(B, T), strides x_row, x_time, or null: rows of w_x that are the input's sums, bias and all")    \
    IN(uint8_t, mask, "(B, T), strides mask_row, mask_time, or null: 0 keeps the state")                               \
    IN(float, h0, "(B, H) or null for zeros")                                                                          \
    IN(float, c0, "(B, H) or null; LSTM")                                                                              \
    IN(void, w_x, "packed input kernel, by panels: [P][I][G][16]; others see above")                                   \
    IN(void, w_h, "packed recurrent kernel: [P][H][G][16]; others see above")                                          \
    IN(void, w_c, "packed candidate kernel [P/4][H][4][16] of a GRU that resets before the product, else null")        \
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

/* Backward through time, of what a recurrent op with a trace did. A name with d (dy, dhn, dz) is the gradient of the
   loss by what the rest of the name says. All timesteps are in the order of its walk. dz has the gates as Keras keeps
   them: i f c o, z r h; after them, for a GRU that resets after the product, the gradient of h's sum over the state
   alone. SimpleRNN goes without a trace for linear, tanh, sigmoid, relu without parameters and exponential; for other
   activations it needs one. y itself serves as h where it has all states: with sequences, and under a mask without
   zero_masked and h0. */
#define FS_RECURRENT_BACKWARD_ARGS(IN, OUT, INT, NUM)                                                                  \
    IN(float, dy, "(B, T, H), strides dy_row, dy_time, 1; (B, H) without sequences; or null")                          \
    IN(float, dhn, "(B, H) or null") IN(float, dcn, "(B, H) or null; LSTM")                                            \
    IN(uint8_t, mask, "(B, T), strides mask_row, mask_time, or null")                                                  \
    IN(float, trace, "(T, B, W / 16, n, 16)")                                                                          \
    IN(float, h, "(B, T, H) after each step, strides h_row, h_time, 1; not read for LSTM")                             \
    IN(float, h0, "(B, H) or null for zeros; not read for LSTM")                                                       \
    IN(void, w_h, "transposed recurrent kernel (K, H), groups of up to 4 panels: [K][panels][16] each; K = G H")       \
    IN(void, w_c, "the same of the candidate, K = H, for a GRU that resets before; then w_h is z and r, K = 2 H")      \
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
    IN(void, w_h, "transposed recurrent kernel (G H, H), groups of up to 4 panels: [G H][panels][16] each")            \
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
#endif
