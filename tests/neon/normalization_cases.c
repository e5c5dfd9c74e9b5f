/* Rows and channels that are normalized, and the gradients of rows. */
#include "harness.h"

static void layer_norm_case(int64_t rows, int64_t n, int rms, int weights, int threads)
{
    begin("%dx%d-rms%d-weights%d-threads%d", (int)rows, (int)n, rms, weights, threads);
    fs_layer_norm_args a = {.rows = rows, .n = n, .rms = rms, .epsilon = 1e-3f};
    a.x = threads == 1 && rows == 1 ? odd_floats_in(rows * n) : floats_in(rows * n, 3.0f);
    a.gamma = weights & 1 ? floats_in(n, 2.0f) : NULL;
    a.beta = weights & 2 ? floats_in(n, 2.0f) : NULL;
    a.y = floats_out(rows * n);
    a.trace = weights ? floats_out(3 * rows) : NULL;
    finish(FS_OP_LAYER_NORM, &a, threads);
}

static void backward_case(int64_t rows, int64_t n, int rms, int weights, int threads)
{
    const int64_t blocks = (rows + FS_LAYER_NORM_ROWS - 1) / FS_LAYER_NORM_ROWS;
    begin("%dx%d-rms%d-weights%d-threads%d", (int)rows, (int)n, rms, weights, threads);
    fs_layer_norm_backward_args a = {.rows = rows, .n = n, .rms = rms};
    a.x = floats_in(rows * n, 3.0f);
    a.gamma = weights & 1 ? floats_in(n, 2.0f) : NULL;
    a.trace = floats_in(3 * rows, 1.5f);
    a.dy = floats_in(rows * n, 1.0f);
    a.dx = floats_out(rows * n);
    a.d_gamma = weights & 1 ? floats_out(blocks * n) : NULL;
    a.d_beta = weights & 2 ? floats_out(blocks * n) : NULL;
    finish(FS_OP_LAYER_NORM_BACKWARD, &a, threads);
}

static void batch_norm_case(int64_t outer, int64_t n, int64_t inner, int weights, int threads)
{
    begin("%dx%dx%d-weights%d-threads%d", (int)outer, (int)n, (int)inner, weights, threads);
    fs_batch_norm_args a = {.outer = outer, .n = n, .inner = inner, .epsilon = 1.5f};
    a.x = threads == 1 ? odd_floats_in(outer * n * inner) : floats_in(outer * n * inner, 3.0f);
    a.mean = floats_in(n, 1.0f);
    a.variance = floats_in(n, 1.0f);
    a.gamma = weights & 1 ? floats_in(n, 2.0f) : NULL;
    a.beta = weights & 2 ? floats_in(n, 2.0f) : NULL;
    a.y = floats_out(outer * n * inner);
    finish(FS_OP_BATCH_NORM, &a, threads);
}

static void channel_sums_case(int64_t rows, int64_t n, int which, int threads)
{
    const int64_t blocks = (rows + FS_LAYER_NORM_ROWS - 1) / FS_LAYER_NORM_ROWS;
    begin("%dx%d-which%d-threads%d", (int)rows, (int)n, which, threads);
    fs_channel_sums_args a = {.rows = rows, .n = n};
    a.a = floats_in(rows * n, 3.0f);
    a.b = which ? floats_in(rows * n, 3.0f) : NULL;
    a.a_centre = which & 1 ? floats_in(n, 2.0f) : NULL;
    a.b_centre = which & 2 ? floats_in(n, 2.0f) : NULL;
    a.sums = floats_out(blocks * n);
    a.products = which ? floats_out(blocks * n) : NULL;
    finish(FS_OP_CHANNEL_SUMS, &a, threads);
}

void normalization_cases(void)
{
    static const int64_t shapes[][2] = {{1, 1}, {3, 5}, {1, 16}, {7, 33}, {40, 64}, {5, 100}, {2, 8209}, {70, 130}};
    static const int64_t channels[][3] = {{1, 1, 1}, {3, 5, 1}, {7, 33, 1}, {2, 300, 1}, {2, 5, 19}, {3, 257, 4}};
    for (int threads = 1; threads <= 3; threads += 2)
        for (int weights = 0; weights < 4; weights++) {
            for (int64_t s = 0; s < COUNT_OF(shapes); s++)
                for (int rms = 0; rms < 2; rms++) {
                    layer_norm_case(shapes[s][0], shapes[s][1], rms, weights, threads);
                    backward_case(shapes[s][0], shapes[s][1], rms, weights, threads);
                }
            for (int64_t s = 0; s < COUNT_OF(shapes); s++)
                channel_sums_case(shapes[s][0], shapes[s][1], weights, threads);
            for (int64_t s = 0; s < COUNT_OF(channels); s++)
                batch_norm_case(channels[s][0], channels[s][1], channels[s][2], weights, threads);
        }
}
