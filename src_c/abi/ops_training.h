/* What training adds beside gradients: updates of weights, losses, accuracies. */
#ifndef FS_OPS_TRAINING_H
#define FS_OPS_TRAINING_H

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

/* partial[b] = sum of x^2 over block b, of FS_NORM_BLOCK elements but for the last. */
#define FS_SUM_SQUARES_ARGS(IN, OUT, INT, NUM)                                                                         \
    IN(float, x, "(count,)") OUT(float, partial, "(ceil(count / FS_NORM_BLOCK),)") INT(count)

/* scale = hyper's 1 / loss scale, times what brings the norm, the root of the sum of `partial`, down to its limit */
#define FS_CLIP_SCALE_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, partial, "(count,)") IN(float, hyper, "as above") OUT(float, scale, "(1,)") INT(count) INT(whole)

/* y = what each row's value counts in a reduced loss. reduction: FS_REDUCE_*. */
#define FS_LOSS_WEIGHTS_ARGS(IN, OUT, INT, NUM)                                                                        \
    IN(uint8_t, mask, "(rows,) or null") IN(float, weights, "(rows,) or null") OUT(float, y, "(rows,)")                \
    INT(rows) INT(reduction)

/* dx = factor * (the reduced loss's derivative by x), and the loss itself in parts: partial[b] is that of block b, of
   FS_LOSS_BLOCK rows but for the last. A label counts as label_scale * y + label_shift. kind: FS_LOSS_*. `logits`: x is
   what would go into a softmax or sigmoid. */
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
#endif
