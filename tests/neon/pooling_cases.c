/* Pools over windows, and their gradients. */
#include "harness.h"

typedef struct {
    int64_t outer, length, inner, windows, size, stride, before;
} pooled;

/* Apart, overlapping, one timestep apart, reaching over the ends, longer than the sequence, one for all, one column. */
static const pooled shapes[] = {
    {2, 12, 70, 6, 2, 2, 0}, {3, 11, 5, 5, 3, 2, 0},  {2, 40, 21, 38, 3, 1, 0},   {3, 9, 33, 9, 4, 1, 1},
    {1, 7, 16, 3, 5, 3, 2},  {2, 4, 19, 1, 9, 9, 2},  {2, 101, 131, 1, 101, 1, 0}, {4, 50, 1, 24, 4, 2, 0},
    {1, 300, 1, 298, 3, 1, 0}, {3, 8, 6, 2, 1, 5, 0},
};

static void run_pool(const pooled *s, int kind, int odd, int threads)
{
    begin("%s-%d-odd%d-threads%d", fs_kind_name(FS_FAMILY_pool, kind), (int)(s - shapes), odd, threads);
    const int64_t in = s->outer * s->length * s->inner, out = s->outer * s->windows * s->inner;
    fs_pool_args a = {
        .outer = s->outer, .length = s->length, .inner = s->inner, .windows = s->windows, .size = s->size,
        .stride = s->stride, .before = s->before, .kind = kind,
    };
    a.x = odd ? odd_floats_in(in) : floats_in(in, 3.0f);
    a.y = floats_out(out);
    finish(FS_OP_POOL, &a, threads);
}

static void run_backward(const pooled *s, int kind, int threads)
{
    begin("%s-%d-threads%d", fs_kind_name(FS_FAMILY_pool, kind), (int)(s - shapes), threads);
    const int64_t in = s->outer * s->length * s->inner, out = s->outer * s->windows * s->inner;
    fs_pool_backward_args a = {
        .outer = s->outer, .length = s->length, .inner = s->inner, .windows = s->windows, .size = s->size,
        .stride = s->stride, .before = s->before, .kind = kind,
    };
    /* Few values, so that many are equal, and one of them the window's. */
    float *x = floats_in(in, 2.0f), *y = scratch(out);
    for (int64_t i = 0; i < in; i++)
        x[i] = roundf(x[i]);
    for (int64_t i = 0; i < out; i++)
        y[i] = (float)(i % 5) - 2.0f;
    a.x = x;
    a.y = y;
    a.dy = floats_in(out, 1.0f);
    a.dx = floats_out(in);
    finish(FS_OP_POOL_BACKWARD, &a, threads);
}

void pooling_cases(void)
{
    for (int64_t i = 0; i < COUNT_OF(shapes); i++)
        for (int kind = FS_POOL_MAX; kind <= FS_POOL_MEAN; kind++)
            for (int threads = 1; threads < 4; threads += 2) {
                run_pool(&shapes[i], kind, 0, threads);
                run_pool(&shapes[i], kind, 1, threads);
                run_backward(&shapes[i], kind, threads);
            }
}
