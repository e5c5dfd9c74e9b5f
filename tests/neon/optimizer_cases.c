/* The optimizers, with every array they may have, and what clips gradients by their norm. */
#include "harness.h"
#include <string.h>

#define COUNT 203

/* An array that the kernel reads and writes: seeded values among the outputs. */
static float *floats_kept(int64_t count, float scale)
{
    float *p = floats_out(count);
    memcpy(p, floats_in(count, scale), (size_t)count * sizeof *p);
    return p;
}

/* own: what of hyper[4..9] the optimizer wants; arrays: bits that say which of its state arrays there are. */
static void update_case(int op, const float *own, int arrays, int option, int odd)
{
    begin("arrays%d-option%d-odd%d", arrays, option, odd);
    float *hyper = floats_in(10, 1.0f), *scale = floats_in(1, 1.0f);
    hyper[0] = 0.01f;
    hyper[1] = 0.002f;
    hyper[2] = 0.3f;
    scale[0] = 0.7f;
    memcpy(hyper + 4, own, 6 * sizeof *own);
    fs_update_args a = {.hyper = hyper, .scale = scale, .count = COUNT, .decays = !odd, .clips = odd, .option = option};
    a.g = odd ? odd_floats_in(COUNT) : floats_in(COUNT, 1.0f);
    a.w = floats_kept(COUNT, 2.0f);
    a.state0 = arrays & 1 ? floats_kept(COUNT, 0.5f) : NULL;
    a.state1 = arrays & 2 ? floats_kept(COUNT, 0.5f) : NULL;
    a.state2 = arrays & 4 ? floats_kept(COUNT, 0.5f) : NULL;
    finish(op, &a, 1);
}

/* Gradients by rows: 29 weights of 7 each, of which three have one. */
static void rows_case(int op, const float *own, int arrays)
{
    static const int32_t rows[3] = {4, 17, 28};
    begin("rows-arrays%d", arrays);
    float *hyper = floats_in(10, 1.0f), *scale = floats_in(1, 1.0f), *g = floats_in(4 * 7, 1.0f);
    int32_t *places = ints_in(29, 1);
    memset(g, 0, 7 * sizeof *g);
    hyper[0] = 0.01f;
    memcpy(hyper + 4, own, 6 * sizeof *own);
    for (int i = 0; i < 3; i++)
        places[rows[i]] = i + 1;
    fs_update_args a = {.hyper = hyper, .scale = scale, .count = 29 * 7, .width = 7, .places = places, .g = g};
    a.w = floats_kept(29 * 7, 2.0f);
    a.state0 = arrays & 1 ? floats_kept(29 * 7, 0.5f) : NULL;
    a.state1 = arrays & 2 ? floats_kept(29 * 7, 0.5f) : NULL;
    finish(op, &a, 2);
}

void optimizer_cases(void)
{
    static const float sgd[6] = {0.9f}, rmsprop[6] = {0.9f, 0.1f, 1e-7f, 0.8f};
    static const float adam[6] = {0.1f, 0.001f, 1e-7f, 0.003f}, nadam[6] = {0.1f, 0.001f, 1e-7f, 1.3f, 0.2f, 500.0f};
    static const float adagrad[6] = {1e-7f}, adadelta[6] = {0.95f, 0.05f, 1e-7f};
    for (int odd = 0; odd < 2; odd++) {
        update_case(FS_OP_SGD, sgd, 0, 0, odd);
        for (int nesterov = 0; nesterov < 2; nesterov++)
            update_case(FS_OP_SGD, sgd, 1, nesterov, odd);
        for (int arrays = 1; arrays < 8; arrays += 2)
            update_case(FS_OP_RMSPROP, rmsprop, arrays, 0, odd);
        update_case(FS_OP_ADAM, adam, 3, 0, odd);
        update_case(FS_OP_ADAM, adam, 7, 0, odd);
        update_case(FS_OP_NADAM, nadam, 3, 0, odd);
        update_case(FS_OP_ADAGRAD, adagrad, 1, 0, odd);
        update_case(FS_OP_ADADELTA, adadelta, 3, 0, odd);
    }
    rows_case(FS_OP_SGD, sgd, 0);
    rows_case(FS_OP_SGD, sgd, 1);
    rows_case(FS_OP_RMSPROP, rmsprop, 3);
    rows_case(FS_OP_ADAM, adam, 3);
    rows_case(FS_OP_NADAM, nadam, 3);
    rows_case(FS_OP_ADAGRAD, adagrad, 1);
    rows_case(FS_OP_ADADELTA, adadelta, 3);
    static const int64_t counts[] = {1, 37, FS_NORM_BLOCK, 2 * FS_NORM_BLOCK + 21};
    for (int64_t i = 0; i < COUNT_OF(counts); i++) {
        begin("count%d", (int)counts[i]);
        fs_sum_squares_args a = {.count = counts[i], .x = floats_in(counts[i], 1.0f)};
        a.partial = floats_out((counts[i] + FS_NORM_BLOCK - 1) / FS_NORM_BLOCK);
        finish(FS_OP_SUM_SQUARES, &a, 1);
    }
    for (int kind = 0; kind < 8; kind++) { /* above and below the limit, infinite, NaN; of one array, of all */
        begin("kind%d", kind);
        float *hyper = floats_in(10, 1.0f), *partial = floats_in(3, 1.0f);
        hyper[2] = kind % 4 == 1 ? 100.0f : 0.5f;
        hyper[3] = 0.25f;
        for (int i = 0; i < 3; i++)
            partial[i] = 20.0f + partial[i];
        if (kind % 4 > 1)
            partial[1] = kind % 4 == 2 ? INFINITY : NAN;
        fs_clip_scale_args a = {.partial = partial, .hyper = hyper, .count = 3, .whole = kind / 4};
        a.scale = floats_out(1);
        finish(FS_OP_CLIP_SCALE, &a, 1);
    }
}
