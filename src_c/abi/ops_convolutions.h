/* Convolutions over time. */
#ifndef FS_OPS_CONVOLUTIONS_H
#define FS_OPS_CONVOLUTIONS_H

/* y = activation(bias + sum over taps j of x[b, t stride + j gap - before] w[j]): output t of a sequence reads a window
   of `taps` timesteps, `gap` apart. Of the timesteps that x does not have, those before it and behind it, timestep i,
   counted from -before on, stands at outside[b, before + i]: what a stream got earlier, or, with both strides 0, zeros.
   The last axis is `groups` groups of `inputs` channels, from which `groups` groups of `units` are made. */
#define FS_CONV1D_ARGS(IN, OUT, INT, NUM)                                                                              \
    IN(float, x, "(batch, length, groups, inputs), sequences x_row apart, timesteps x_time")                           \
    IN(float, outside, "(batch, any, groups, inputs) with strides out_row, out_time")                                  \
    IN(void, w, "for each group packed as dense's, (taps * inputs) rows")                                              \
    IN(float, bias, "(groups, P, 16)")                                                                                 \
    OUT(float, y, "(batch, timesteps, groups, units), sequences y_row apart, timesteps y_time")                        \
    INT(batch) INT(length) INT(timesteps) INT(taps) INT(groups) INT(inputs) INT(units)                                 \
    INT(stride) INT(gap) INT(before) INT(x_row) INT(x_time) INT(out_row) INT(out_time) INT(y_row) INT(y_time)          \
    INT(activation) NUM(p0) NUM(p1) NUM(p2)

/* The same for each channel by itself, of which there are `units`. */
#define FS_DEPTHWISE_CONV1D_ARGS(IN, OUT, INT, NUM)                                                                    \
    IN(float, x, "(batch, length, units), sequences x_row apart, timesteps x_time")                                    \
    IN(float, outside, "(batch, any, units) with strides out_row, out_time")                                           \
    IN(float, w, "(taps, units)")                                                                                      \
    IN(float, bias, "(units,) or null")                                                                                \
    OUT(float, y, "(batch, timesteps, units), sequences y_row apart, timesteps y_time")                                \
    INT(batch) INT(length) INT(timesteps) INT(taps) INT(units)                                                         \
    INT(stride) INT(gap) INT(before) INT(x_row) INT(x_time) INT(out_row) INT(out_time) INT(y_row) INT(y_time)          \
    INT(activation) NUM(p0) NUM(p1) NUM(p2)
#endif
