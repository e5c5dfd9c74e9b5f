/* Convolutions over time: windows inside of x and beside it, with gaps, of groups; outputs that stand apart. */
#include "harness.h"

typedef struct {
    int64_t batch, length, taps, groups, inputs, units, stride, gap, before, behind; /* behind: timesteps after x */
} shape;

static int64_t outputs_of(const shape *s)
{
    return (s->length + s->before + s->behind - (s->taps - 1) * s->gap - 1) / s->stride + 1;
}

/* kept: what stands before x are timesteps that were kept, not zeros; apart: units between one output and the next. */
static void run_conv1d(const shape *s, int kept, int apart, int activation, int threads)
{
    const int64_t channels = s->groups * s->inputs, units = (s->units + 63) / 64 * 64;
    fs_conv1d_args a = {
        .batch = s->batch, .length = s->length, .timesteps = outputs_of(s), .taps = s->taps, .groups = s->groups,
        .inputs = s->inputs, .units = s->units, .stride = s->stride, .gap = s->gap, .before = s->before,
        .x_row = s->length * channels, .x_time = channels, .out_row = kept ? s->before * channels : 0,
        .out_time = kept ? channels : 0, .activation = activation, .p0 = 0.2f, .p1 = 6.0f, .p2 = 0.1f,
    };
    a.y_time = s->groups * s->units + apart;
    a.y_row = a.timesteps * a.y_time;
    a.x = floats_in(s->batch * a.x_row, 1.0f);
    a.outside = floats_in(kept ? s->batch * s->before * channels : channels, kept ? 1.0f : 0.0f);
    a.w = floats_in(s->groups * units * s->taps * s->inputs, 0.4f);
    a.bias = floats_in(s->groups * units, 0.5f);
    a.y = floats_out(s->batch * a.y_row);
    finish(FS_OP_CONV1D, &a, threads);
}

static void run_depthwise(const shape *s, int kept, int biased, int activation, int threads)
{
    fs_depthwise_conv1d_args a = {
        .batch = s->batch, .length = s->length, .timesteps = outputs_of(s), .taps = s->taps, .units = s->units,
        .stride = s->stride, .gap = s->gap, .before = s->before, .x_row = s->length * s->units, .x_time = s->units,
        .out_row = kept ? s->before * s->units : 0, .out_time = kept ? s->units : 0,
        .activation = activation, .p0 = 0.2f, .p1 = 6.0f, .p2 = 0.1f,
    };
    a.y_time = s->units;
    a.y_row = a.timesteps * s->units;
    a.x = floats_in(s->batch * a.x_row, 1.0f);
    a.outside = floats_in(kept ? s->batch * s->before * s->units : s->units, kept ? 1.0f : 0.0f);
    a.w = floats_in(s->taps * s->units, 0.4f);
    a.bias = biased ? floats_in(s->units, 0.5f) : NULL;
    a.y = floats_out(s->batch * a.y_row);
    finish(FS_OP_DEPTHWISE_CONV1D, &a, threads);
}

void convolution_cases(void)
{
    /* batch, length, taps, groups, inputs, units, stride, gap, before, behind */
    static const shape shapes[] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 0, 0},    {2, 9, 3, 1, 5, 70, 1, 1, 0, 0},   {3, 33, 3, 1, 4, 15, 3, 1, 1, 1},
        {1, 60, 2, 1, 9, 128, 1, 7, 7, 0}, {5, 4, 5, 1, 3, 40, 1, 2, 8, 0},   {2, 17, 4, 3, 2, 21, 1, 1, 3, 0},
        {1, 50, 3, 2, 7, 80, 2, 1, 0, 0},  {2, 3, 2, 1, 6, 17, 1, 5, 5, 5},   {1, 100, 9, 1, 1, 8, 1, 1, 4, 4},
    };
    for (int64_t i = 0; i < COUNT_OF(shapes); i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            begin("%d-threads%d", (int)i, threads);
            run_conv1d(&shapes[i], 0, 0, FS_ACT_LINEAR, threads);
            begin("%d-threads%d", (int)i, threads);
            run_depthwise(&shapes[i], 0, 1, FS_ACT_LINEAR, threads);
        }
    begin("kept");
    run_conv1d(&shapes[3], 1, 0, FS_ACT_LINEAR, 1);
    begin("kept");
    run_depthwise(&shapes[3], 1, 0, FS_ACT_LINEAR, 1);
    begin("apart");
    run_conv1d(&shapes[1], 0, 37, FS_ACT_LINEAR, 1);
    begin("units-by-threads");
    run_conv1d(&(shape){1, 2, 2, 2, 350, 500, 1, 1, 1, 0}, 0, 0, FS_ACT_TANH, 3);
    for (int kind = 0; kind < FS_ACT_FIRST_ROWWISE; kind++) {
        begin("%s", fs_kind_name(FS_FAMILY_activation, kind));
        run_conv1d(&shapes[1], 0, 0, kind, 1);
        begin("%s", fs_kind_name(FS_FAMILY_activation, kind));
        run_depthwise(&shapes[1], 0, 1, kind, 1);
    }
}
