/* One training step of one array of weights: each optimizer reads the gradient and its own arrays once and writes once.
   Elements are independent, so any division among threads gives the same bits. The order of operations is Keras's
   (keras/src/optimizers), with a multiply and an add fused where it has both. */

#include <math.h>

/* n is VLEN but for the last vector of an array. */
FS_INLINE vf fs_get(const float *p, int n) { return n == VLEN ? v_load(p) : v_load_part(p, n); }
FS_INLINE void fs_put(float *p, int n, vf v)
{
    if (n == VLEN)
        v_store(p, v);
    else
        v_store_part(p, n, v);
}

typedef struct {
    vf scale, limit, decay;
    vf own[5]; /* hyper[FS_HYPER_OWN + i] */
    vf rate;
} fs_update_words;

FS_INLINE fs_update_words fs_update_begin(const fs_update_args *a)
{
    fs_update_words w;
    w.scale = v_bcast(a->scale);
    w.limit = v_bcast(a->hyper + FS_HYPER_CLIP);
    w.decay = v_bcast(a->hyper + FS_HYPER_DECAY);
    w.rate = v_bcast(a->hyper + FS_HYPER_RATE);
    for (int i = 0; i < 5; i++)
        w.own[i] = v_bcast(a->hyper + FS_HYPER_OWN + i);
    return w;
}

/* The gradient after scaling and clipping by value; a NaN stays one. */
FS_INLINE vf fs_update_gradient(const fs_update_args *a, const fs_update_words *w, int64_t i, int n)
{
    vf g = v_mul(fs_get(a->g + i, n), w->scale);
    return a->clips ? v_min(w->limit, v_max(v_neg(w->limit), g)) : g;
}

/* The weights after their decay. */
FS_INLINE vf fs_update_weights(const fs_update_args *a, const fs_update_words *w, int64_t i, int n)
{
    vf weights = fs_get(a->w + i, n);
    return a->decays ? v_fnma(weights, w->decay, weights) : weights;
}

/* step(a, w, i, n) for every vector of this thread's elements, row by row where there are places. `rests`: rows without
   a gradient stay as they are, but for a decay. */
#define FS_UPDATE(name, step, rests)                                                                                   \
    FS_INLINE void name##_range(const fs_update_args *a, const fs_update_words *w, int64_t i, int64_t end)             \
    {                                                                                                                  \
        for (; i + VLEN <= end; i += VLEN)                                                                             \
            fs_##step##_step(a, w, i, VLEN);                                                                           \
        if (i < end)                                                                                                   \
            fs_##step##_step(a, w, i, (int)(end - i));                                                                 \
    }                                                                                                                  \
    static int name(const fs_##step##_args *args, const fs_share *share)                                               \
    {                                                                                                                  \
        const fs_update_args *a = (const fs_update_args *)args;                                                        \
        const fs_update_words w = fs_update_begin(a);                                                                  \
        if (!a->places) {                                                                                              \
            name##_range(a, &w, share->row_lo, share->row_hi);                                                         \
            return 0;                                                                                                  \
        }                                                                                                              \
        fs_update_args row = *a;                                                                                       \
        for (int64_t i = share->row_lo, end; i < share->row_hi; i = end) {                                             \
            const int64_t r = i / a->width;                                                                            \
            end = (r + 1) * a->width < share->row_hi ? (r + 1) * a->width : share->row_hi;                             \
            if (!a->places[r] && (rests) && !a->decays)                                                                \
                continue;                                                                                              \
            row.g = a->g + (a->places[r] - r) * a->width;                                                              \
            name##_range(&row, &w, i, end);                                                                            \
        }                                                                                                              \
        return 0;                                                                                                      \
    }

/* own: momentum. state0: the velocity, or null without momentum. option: nesterov (Sutskever et al. 2013). */
FS_INLINE void fs_sgd_step(const fs_update_args *a, const fs_update_words *w, int64_t i, int n)
{
    vf step = v_mul(fs_update_gradient(a, w, i, n), w->rate), weights = fs_update_weights(a, w, i, n);
    if (!a->state0) {
        fs_put(a->w + i, n, v_sub(weights, step));
        return;
    }
    vf m = v_sub(v_mul(fs_get(a->state0 + i, n), w->own[0]), step);
    fs_put(a->state0 + i, n, m);
    fs_put(a->w + i, n, v_add(weights, a->option ? v_sub(v_mul(m, w->own[0]), step) : m));
}

/* own: rho, 1 - rho, epsilon, momentum. state0: mean square; state1: momentum or null; state2: mean of the gradient
   for the centered form, or null. Tieleman and Hinton 2012; Graves 2013. */
FS_INLINE void fs_rmsprop_step(const fs_update_args *a, const fs_update_words *w, int64_t i, int n)
{
    vf g = fs_update_gradient(a, w, i, n), weights = fs_update_weights(a, w, i, n);
    vf v = v_fma(w->own[0], fs_get(a->state0 + i, n), v_mul(w->own[1], v_mul(g, g))), spread = v;
    fs_put(a->state0 + i, n, v);
    if (a->state2) {
        vf mean = v_fma(w->own[0], fs_get(a->state2 + i, n), v_mul(w->own[1], g));
        fs_put(a->state2 + i, n, mean);
        spread = v_sub(v, v_mul(mean, mean));
    }
    vf step = v_div(v_mul(w->rate, g), v_sqrt(v_add(spread, w->own[2])));
    if (a->state1) {
        step = v_fma(w->own[3], fs_get(a->state1 + i, n), step);
        fs_put(a->state1 + i, n, step);
    }
    fs_put(a->w + i, n, v_sub(weights, step));
}

/* own: 1 - beta_1, 1 - beta_2, epsilon, the rate times its bias correction. state0, state1: moments; state2:
   largest second moment for amsgrad (Reddi et al. 2018), or null. Kingma and Ba 2014. */
FS_INLINE void fs_adam_step(const fs_update_args *a, const fs_update_words *w, int64_t i, int n)
{
    vf g = fs_update_gradient(a, w, i, n), weights = fs_update_weights(a, w, i, n);
    vf m = fs_get(a->state0 + i, n), v = fs_get(a->state1 + i, n);
    m = v_fma(v_sub(g, m), w->own[0], m);
    v = v_fma(v_sub(v_mul(g, g), v), w->own[1], v);
    fs_put(a->state0 + i, n, m);
    fs_put(a->state1 + i, n, v);
    if (a->state2) {
        v = v_max(fs_get(a->state2 + i, n), v);
        fs_put(a->state2 + i, n, v);
    }
    fs_put(a->w + i, n, v_sub(weights, v_div(v_mul(m, w->own[3]), v_add(v_sqrt(v), w->own[2]))));
}

/* own: 1 - beta_1, 1 - beta_2, epsilon, factor of the moment, factor of the gradient; the factor of the second moment
   is in hyper behind them. state0, state1: moments. Dozat 2016. */
FS_INLINE void fs_nadam_step(const fs_update_args *a, const fs_update_words *w, int64_t i, int n)
{
    vf g = fs_update_gradient(a, w, i, n), weights = fs_update_weights(a, w, i, n);
    vf m = fs_get(a->state0 + i, n), v = fs_get(a->state1 + i, n);
    m = v_fma(v_sub(g, m), w->own[0], m);
    v = v_fma(v_sub(v_mul(g, g), v), w->own[1], v);
    fs_put(a->state0 + i, n, m);
    fs_put(a->state1 + i, n, v);
    vf mean = v_mul(v_fma(w->own[3], m, v_mul(w->own[4], g)), w->rate);
    vf root = v_sqrt(v_mul(v, v_bcast(a->hyper + FS_HYPER_OWN + 5)));
    fs_put(a->w + i, n, v_sub(weights, v_div(mean, v_add(root, w->own[2]))));
}

/* own: epsilon. state0: sum of squares. Duchi et al. 2011. */
FS_INLINE void fs_adagrad_step(const fs_update_args *a, const fs_update_words *w, int64_t i, int n)
{
    vf g = fs_update_gradient(a, w, i, n), weights = fs_update_weights(a, w, i, n);
    vf sum = v_fma(g, g, fs_get(a->state0 + i, n));
    fs_put(a->state0 + i, n, sum);
    fs_put(a->w + i, n, v_sub(weights, v_div(v_mul(w->rate, g), v_sqrt(v_add(sum, w->own[0])))));
}

/* own: rho, 1 - rho, epsilon. state0, state1: mean squares of the gradient and of the steps. Zeiler 2012. */
FS_INLINE void fs_adadelta_step(const fs_update_args *a, const fs_update_words *w, int64_t i, int n)
{
    vf g = fs_update_gradient(a, w, i, n), weights = fs_update_weights(a, w, i, n);
    vf v = v_fma(w->own[0], fs_get(a->state0 + i, n), v_mul(w->own[1], v_mul(g, g))), d = fs_get(a->state1 + i, n);
    fs_put(a->state0 + i, n, v);
    vf step = v_div(v_mul(v_sqrt(v_add(d, w->own[2])), g), v_sqrt(v_add(v, w->own[2])));
    fs_put(a->state1 + i, n, v_fma(w->own[0], d, v_mul(w->own[1], v_mul(step, step))));
    fs_put(a->w + i, n, v_fnma(w->rate, step, weights));
}

FS_UPDATE(fs_sgd, sgd, !a->state0)
FS_UPDATE(fs_rmsprop, rmsprop, 0)
FS_UPDATE(fs_adam, adam, 0)
FS_UPDATE(fs_nadam, nadam, 0)
FS_UPDATE(fs_adagrad, adagrad, 1)
FS_UPDATE(fs_adadelta, adadelta, 0)

/* A block's squares are added up in 16 lanes, whatever the length of a vector and the number of threads. */
static int fs_sum_squares(const fs_sum_squares_args *a, const fs_share *share)
{
    for (int64_t block = share->row_lo; block < share->row_hi; block++) {
        const float *x = a->x + block * FS_NORM_BLOCK;
        const int64_t left = a->count - block * FS_NORM_BLOCK, n = left < FS_NORM_BLOCK ? left : FS_NORM_BLOCK;
        vf sum[FS_LANE_VECS];
        for (int j = 0; j < FS_LANE_VECS; j++)
            sum[j] = v_zero();
        int64_t i = 0;
        for (; i + FS_LANES <= n; i += FS_LANES)
            for (int j = 0; j < FS_LANE_VECS; j++) {
                vf v = v_load(x + i + j * VLEN);
                sum[j] = v_fma(v, v, sum[j]);
            }
        if (i < n) {
            vf last[FS_LANE_VECS];
            fs_lane_load(last, x + i, (int)(n - i), 0.0f);
            for (int j = 0; j < FS_LANE_VECS; j++)
                sum[j] = v_fma(last[j], last[j], sum[j]);
        }
        a->partial[block] = fs_lane_sum(sum);
    }
    return 0;
}

/* A norm that is not finite makes the factor NaN with `whole`, as Keras's global norm does; else 0 for an infinite one,
   which makes NaN of the infinite elements only, as its norm of one array does. */
static int fs_clip_scale(const fs_clip_scale_args *a, const fs_share *share)
{
    (void)share;
    const double clip = (double)a->hyper[FS_HYPER_CLIP], unscale = (double)a->hyper[FS_HYPER_UNSCALE];
    double sum = 0.0;
    for (int64_t i = 0; i < a->count; i++)
        sum += (double)a->partial[i];
    double norm = sqrt(sum) * unscale;
    double factor = norm > clip ? clip / norm : norm == norm ? 1.0 : norm;
    a->scale[0] = (float)(unscale * (a->whole ? factor + (norm - norm) : factor));
    return 0;
}
