/* Losses and their gradients in one pass, and how often the largest prediction is the right one. The formulas are those
   of fastseq/losses, the twin that tests compare with. A row is a sample or a timestep: its n predictions give one
   value. */

#define FS_PROBABILITY_LOW 1e-7f
#define FS_PROBABILITY_HIGH 0.9999999f /* 1 - 1e-7 as float has it */

/* n > 0 elements at p, zeros in the lanes after them. */
FS_INLINE vf fs_get_up_to(const float *p, int64_t n)
{
    return n >= VLEN ? v_load(p) : n > 0 ? v_load_part(p, (int)n) : v_zero();
}
FS_INLINE void fs_put_up_to(float *p, int64_t n, vf v)
{
    if (n >= VLEN)
        v_store(p, v);
    else if (n > 0)
        v_store_part(p, (int)n, v);
}

FS_INLINE float fs_first(vf v)
{
    float lanes[VLEN];
    v_store(lanes, v);
    return lanes[0];
}

/* sum = that of `expression` for elements [0, n) in 16 lanes, by blocks as fs_sum has them; the expression finds `at`,
   the element of its vector's first lane, and `left`, how many from there on exist. */
#define FS_SUM_OF(sum, n, expression)                                                                                  \
    do {                                                                                                               \
        vf total_[FS_LANE_VECS], block_[FS_LANE_VECS], term_[FS_LANE_VECS];                                            \
        for (int j_ = 0; j_ < FS_LANE_VECS; j_++)                                                                      \
            total_[j_] = block_[j_] = v_zero();                                                                        \
        for (int64_t i_ = 0; i_ < (n); i_ += FS_LANES) {                                                               \
            for (int j_ = 0; j_ < FS_LANE_VECS; j_++) {                                                                \
                const int64_t at = i_ + j_ * VLEN, left = (n)-at;                                                      \
                term_[j_] = (expression);                                                                              \
            }                                                                                                          \
            if ((n)-i_ < FS_LANES)                                                                                     \
                fs_lane_fill(term_, (int)((n)-i_), 0.0f);                                                              \
            const int last_ = (i_ + FS_LANES) % FS_SUM_BLOCK == 0;                                                     \
            for (int j_ = 0; j_ < FS_LANE_VECS; j_++) {                                                                \
                block_[j_] = v_add(block_[j_], term_[j_]);                                                             \
                if (last_)                                                                                             \
                    total_[j_] = v_add(total_[j_], block_[j_]), block_[j_] = v_zero();                                 \
            }                                                                                                          \
        }                                                                                                              \
        for (int j_ = 0; j_ < FS_LANE_VECS; j_++)                                                                      \
            total_[j_] = v_add(total_[j_], block_[j_]);                                                                \
        sum = fs_lane_sum(total_);                                                                                     \
    } while (0)

FS_INLINE vf fs_clip_probability(vf p)
{
    return v_min(v_set1(FS_PROBABILITY_HIGH), v_max(v_set1(FS_PROBABILITY_LOW), p));
}
/* 1 where clipping changes nothing, which lets the derivative through. */
FS_INLINE vf fs_inside(vf p, float low, float high)
{
    return v_select(v_le(v_set1(low), p), fs_vone_where(v_le(p, v_set1(high))), v_zero());
}

typedef struct {
    vf value, slope;
} fs_loss_term;

/* `size` with the sign of x, or x where it is NaN */
FS_INLINE vf fs_sign(vf x, vf size) { return v_select(v_isnan(x), x, v_copysign(size, x)); }

/* The losses whose value is a mean, or sum, of terms of one prediction x and its label y each. */
FS_INLINE fs_loss_term fs_loss_term_of(const fs_loss_args *a, vf x, vf y)
{
    const vf zero = v_zero(), one = v_set1(1.0f), error = v_sub(x, y);
    switch (a->kind) {
    case FS_LOSS_SQUARED:
        return (fs_loss_term){v_mul(error, error), v_add(error, error)};
    case FS_LOSS_ABSOLUTE:
        return (fs_loss_term){v_abs(error), v_select(v_eq(error, zero), zero, fs_sign(error, one))};
    case FS_LOSS_HUBER: {
        const vf delta = v_set1(a->delta), size = v_abs(error), half = v_set1(0.5f);
        const vm inside = v_le(size, delta);
        vf outer = v_sub(v_mul(delta, size), v_mul(half, v_mul(delta, delta)));
        return (fs_loss_term){v_select(inside, v_mul(half, v_mul(error, error)), outer),
                              v_select(inside, error, fs_sign(error, delta))};
    }
    case FS_LOSS_DIVERGENCE: {
        const vf truth = v_min(one, v_max(v_set1(FS_PROBABILITY_LOW), y));
        const vf p = v_min(one, v_max(v_set1(FS_PROBABILITY_LOW), x));
        vf slope = v_mul(v_div(v_neg(truth), p), fs_inside(x, FS_PROBABILITY_LOW, 1.0f));
        return (fs_loss_term){v_mul(truth, v_log(v_div(truth, p))), slope};
    }
    default: /* FS_LOSS_BINARY */
        if (a->logits) {
            const vf small = v_exp(v_neg(v_abs(x)));
            vf value = v_add(v_sub(v_max(zero, x), v_mul(x, y)), v_log1p(small));
            return (fs_loss_term){value, v_sub(v_div(v_select(v_lt(x, zero), small, one), v_add(one, small)), y)};
        } else {
            const vf p = fs_clip_probability(x), rest = v_sub(one, p), other = v_sub(one, y);
            vf value = v_neg(v_fma(y, v_log(p), v_mul(other, v_log(rest))));
            vf slope = v_mul(v_sub(v_div(other, rest), v_div(y, p)),
                             fs_inside(x, FS_PROBABILITY_LOW, FS_PROBABILITY_HIGH));
            return (fs_loss_term){value, slope};
        }
    }
}

FS_INLINE int fs_loss_is_of_terms(int64_t kind) { return kind != FS_LOSS_CATEGORICAL && kind != FS_LOSS_SPARSE; }
FS_INLINE int fs_loss_is_mean(int64_t kind) { return kind != FS_LOSS_DIVERGENCE; }

/* The label as it counts after smoothing. */
FS_INLINE vf fs_label(const fs_loss_args *a, vf y)
{
    return v_add(v_mul(y, v_set1(a->label_scale)), v_set1(a->label_shift));
}

FS_INLINE vf fs_term_to(const fs_loss_args *a, const float *x, const float *y, float *dx, int64_t left, vf up)
{
    fs_loss_term term = fs_loss_term_of(a, fs_get_up_to(x, left), fs_label(a, fs_get_up_to(y, left)));
    if (a->dx)
        fs_put_up_to(dx, left, v_mul(up, term.slope));
    return term.value;
}

/* Each of these: the value of a row of n, and in dx, where it is wanted, its derivatives times `up`. */
static float fs_loss_of_terms(const fs_loss_args *a, const float *x, const float *y, float *dx, float up)
{
    const float count = fs_loss_is_mean(a->kind) ? (float)a->n : 1.0f;
    const vf each = v_set1(up / count);
    float sum;
    FS_SUM_OF(sum, a->n, fs_term_to(a, x + at, y + at, dx + at, left, each));
    return sum / count;
}

FS_INLINE vf fs_exp_to(const float *x, float *kept, int64_t left, vf max)
{
    vf e = v_exp(v_sub(fs_get_up_to(x, left), max));
    if (kept)
        fs_put_up_to(kept, left, e);
    return e;
}

static float fs_loss_of_logits(const fs_loss_args *a, const float *x, const float *y, int64_t label, float *dx,
                               float up)
{
    const float max = fs_max(x, a->n);
    const vf vmax = v_set1(max), vup = v_set1(up);
    float sum, value;
    FS_SUM_OF(sum, a->n, fs_exp_to(x + at, dx ? dx + at : NULL, left, vmax));
    const vf vsum = v_set1(sum), log_sum = v_log(vsum);
    if (!y) {
        if (dx) {
            const float own = dx[label];
            FS_MAP(dx, dx, a->n, v_mul(vup, v_div(v, vsum)));
            dx[label] = up * (own / sum - 1.0f);
        }
        return fs_first(log_sum) - (x[label] - max);
    }
    FS_SUM_OF(value, a->n,
              v_mul(fs_label(a, fs_get_up_to(y + at, left)), v_sub(v_sub(fs_get_up_to(x + at, left), vmax), log_sum)));
    if (dx)
        for (int64_t at = 0; at < a->n; at += VLEN) {
            const int64_t left = a->n - at;
            vf p = v_div(fs_get_up_to(dx + at, left), vsum);
            fs_put_up_to(dx + at, left, v_mul(vup, v_sub(p, fs_label(a, fs_get_up_to(y + at, left)))));
        }
    return -value;
}

/* Keras takes the softmax of the clipped probabilities' logarithms, which is what follows. */
static float fs_loss_of_class(const fs_loss_args *a, const float *x, int64_t label, float *dx, float up)
{
    float sum;
    FS_SUM_OF(sum, a->n, fs_clip_probability(fs_get_up_to(x + at, left)));
    const vf one = v_set1(1.0f), own = v_set1(x[label]), clipped = fs_clip_probability(own);
    const float value = fs_first(v_sub(v_log(v_set1(sum)), v_log(clipped)));
    if (dx) {
        const vf all = v_div(one, v_set1(sum)), vup = v_set1(up);
        const vf slope = v_mul(v_sub(all, v_div(one, clipped)),
                               fs_inside(own, FS_PROBABILITY_LOW, FS_PROBABILITY_HIGH));
        FS_MAP(dx, x, a->n, v_mul(v_mul(vup, all), fs_inside(v, FS_PROBABILITY_LOW, FS_PROBABILITY_HIGH)));
        dx[label] = fs_first(v_mul(vup, slope));
    }
    return value;
}

FS_INLINE vf fs_by_probability(const fs_loss_args *a, const float *x, const float *y, int64_t left, vf total, vf up)
{
    const vf p = v_div(fs_get_up_to(x, left), total);
    const vf slope = v_div(v_mul(v_neg(up), fs_label(a, fs_get_up_to(y, left))), fs_clip_probability(p));
    return v_mul(slope, fs_inside(p, FS_PROBABILITY_LOW, FS_PROBABILITY_HIGH));
}

static float fs_loss_of_probabilities(const fs_loss_args *a, const float *x, const float *y, float *dx, float up)
{
    float value, dot;
    const vf total = v_set1(fs_sum(x, a->n)), vup = v_set1(up);
    FS_SUM_OF(value, a->n,
              v_mul(fs_label(a, fs_get_up_to(y + at, left)),
                    v_log(fs_clip_probability(v_div(fs_get_up_to(x + at, left), total)))));
    if (dx) {
        FS_SUM_OF(dot, a->n,
                  v_mul(fs_by_probability(a, x + at, y + at, left, total, vup),
                        v_div(fs_get_up_to(x + at, left), total)));
        for (int64_t at = 0; at < a->n; at += VLEN) {
            const int64_t left = a->n - at;
            vf slope = fs_by_probability(a, x + at, y + at, left, total, vup);
            fs_put_up_to(dx + at, left, v_div(v_sub(slope, v_set1(dot)), total));
        }
    }
    return -value;
}

FS_INLINE float fs_row_weight(const fs_loss_args *a, int64_t row) { return a->weights ? a->weights[row] : a->even; }

/* Rows of few predictions: VLEN of them at a time, a lane for each, without sums across lanes. Rows of 8 went 6 times
   as fast as one by one. */
typedef struct {
    vf x[FS_LANES], y[FS_LANES], dx[FS_LANES]; /* prediction k of all rows, its label, its derivative */
    vf up;                                     /* what derivatives are multiplied with */
} fs_short_rows;

/* to[k] = element k of each of `rows` rows of n; lanes past them get zeros. */
FS_INLINE void fs_rows_to_lanes(vf to[FS_LANES], const float *x, int64_t rows, int64_t n)
{
    float lanes[FS_LANES][VLEN];
    for (int64_t r = 0; r < VLEN; r++)
        for (int64_t k = 0; k < n; k++)
            lanes[k][r] = r < rows ? x[r * n + k] : 0.0f;
    for (int64_t k = 0; k < n; k++)
        to[k] = v_load(lanes[k]);
}
FS_INLINE void fs_lanes_to_rows(float *y, const vf from[FS_LANES], int64_t rows, int64_t n)
{
    float lanes[FS_LANES][VLEN];
    for (int64_t k = 0; k < n; k++)
        v_store(lanes[k], from[k]);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++)
            y[r * n + k] = lanes[k][r];
}

/* Each of these: the value of each row; s->dx gets the derivatives. */
FS_INLINE vf fs_short_terms(const fs_loss_args *a, fs_short_rows *s)
{
    const vf count = v_set1(fs_loss_is_mean(a->kind) ? (float)a->n : 1.0f), each = v_div(s->up, count);
    vf sum = v_zero();
    for (int64_t k = 0; k < a->n; k++) {
        fs_loss_term term = fs_loss_term_of(a, s->x[k], s->y[k]);
        sum = v_add(sum, term.value);
        s->dx[k] = v_mul(each, term.slope);
    }
    return v_div(sum, count);
}

FS_INLINE vf fs_short_logits(const fs_loss_args *a, fs_short_rows *s)
{
    vf max = s->x[0], sum = v_zero(), value = v_zero();
    for (int64_t k = 1; k < a->n; k++)
        max = v_max(max, s->x[k]);
    for (int64_t k = 0; k < a->n; k++) {
        s->x[k] = v_sub(s->x[k], max);
        s->dx[k] = v_exp(s->x[k]);
        sum = v_add(sum, s->dx[k]);
    }
    const vf log_sum = v_log(sum);
    for (int64_t k = 0; k < a->n; k++) {
        vf term = v_mul(s->y[k], v_sub(s->x[k], log_sum));
        /* A class number's other labels are not there, rather than 0: 0 times -inf is NaN. */
        if (a->classes)
            term = v_select(v_eq(s->y[k], v_zero()), v_zero(), term);
        value = v_sub(value, term);
        s->dx[k] = v_mul(s->up, v_sub(v_div(s->dx[k], sum), s->y[k]));
    }
    return v_select(v_isnan(sum), sum, value);
}

FS_INLINE vf fs_short_class(const fs_loss_args *a, fs_short_rows *s)
{
    const vf one = v_set1(1.0f);
    vf sum = v_zero(), own = v_zero();
    for (int64_t k = 0; k < a->n; k++) {
        vf p = fs_clip_probability(s->x[k]);
        sum = v_add(sum, p);
        own = v_select(v_eq(s->y[k], v_zero()), own, p);
    }
    const vf all = v_div(one, sum);
    for (int64_t k = 0; k < a->n; k++) {
        vf slope = v_sub(all, v_select(v_eq(s->y[k], v_zero()), v_zero(), v_div(one, fs_clip_probability(s->x[k]))));
        s->dx[k] = v_mul(v_mul(s->up, slope), fs_inside(s->x[k], FS_PROBABILITY_LOW, FS_PROBABILITY_HIGH));
    }
    return v_sub(v_log(sum), v_log(own));
}

FS_INLINE vf fs_short_probabilities(const fs_loss_args *a, fs_short_rows *s)
{
    vf total = v_zero(), value = v_zero(), dot = v_zero();
    for (int64_t k = 0; k < a->n; k++)
        total = v_add(total, s->x[k]);
    for (int64_t k = 0; k < a->n; k++) {
        const vf p = v_div(s->x[k], total), clipped = fs_clip_probability(p);
        value = v_sub(value, v_mul(s->y[k], v_log(clipped)));
        s->dx[k] = v_mul(v_div(v_mul(v_neg(s->up), s->y[k]), clipped),
                         fs_inside(p, FS_PROBABILITY_LOW, FS_PROBABILITY_HIGH));
        dot = v_add(dot, v_mul(s->dx[k], p));
    }
    for (int64_t k = 0; k < a->n; k++)
        s->dx[k] = v_div(v_sub(s->dx[k], dot), total);
    return value;
}

/* Rows [lo, hi): the sum of their values as they count. */
static double fs_loss_of_short_rows(const fs_loss_args *a, int64_t lo, int64_t hi)
{
    double sum = 0.0;
    fs_short_rows s;
    for (int64_t i = lo; i < hi; i += VLEN) {
        const int64_t left = hi - i, rows = left < VLEN ? left : VLEN;
        float values[VLEN];
        fs_rows_to_lanes(s.x, a->x + i * a->n, rows, a->n);
        if (a->classes) {
            for (int64_t r = 0; r < VLEN; r++)
                values[r] = r < rows ? (float)a->classes[i + r] : 0.0f;
            for (int64_t k = 0; k < a->n; k++)
                s.y[k] = fs_vone_where(v_eq(v_load(values), v_set1((float)k)));
        } else {
            fs_rows_to_lanes(s.y, a->y + i * a->n, rows, a->n);
            for (int64_t k = 0; k < a->n; k++)
                s.y[k] = fs_label(a, s.y[k]);
        }
        s.up = v_mul(a->weights ? fs_get_up_to(a->weights + i, left) : v_set1(a->even), v_set1(a->factor));
        vf value = fs_loss_is_of_terms(a->kind)   ? fs_short_terms(a, &s)
                   : a->logits                    ? fs_short_logits(a, &s)
                   : a->kind == FS_LOSS_SPARSE ? fs_short_class(a, &s)
                                                  : fs_short_probabilities(a, &s);
        v_store(values, value);
        for (int64_t r = 0; r < rows; r++)
            sum += (double)values[r] * (double)fs_row_weight(a, i + r);
        if (a->dx)
            fs_lanes_to_rows(a->dx + i * a->n, s.dx, rows, a->n);
    }
    return sum;
}

static int fs_loss(const fs_loss_args *a, const fs_share *share)
{
    for (int64_t block = share->row_lo; block < share->row_hi; block++) {
        const int64_t lo = block * FS_LOSS_BLOCK, hi = a->rows - lo < FS_LOSS_BLOCK ? a->rows : lo + FS_LOSS_BLOCK;
        double sum = 0.0;
        if (a->n <= FS_LANES) {
            a->partial[block] = fs_loss_of_short_rows(a, lo, hi);
            continue;
        }
        for (int64_t row = lo; row < hi; row++) {
            const float *x = a->x + row * a->n, *y = a->y ? a->y + row * a->n : NULL;
            const int64_t label = a->classes ? a->classes[row] : 0;
            const float weight = fs_row_weight(a, row), up = weight * a->factor;
            float *dx = a->dx ? a->dx + row * a->n : NULL, value;
            if (fs_loss_is_of_terms(a->kind))
                value = fs_loss_of_terms(a, x, y, dx, up);
            else if (a->logits)
                value = fs_loss_of_logits(a, x, y, label, dx, up);
            else if (a->kind == FS_LOSS_SPARSE)
                value = fs_loss_of_class(a, x, label, dx, up);
            else
                value = fs_loss_of_probabilities(a, x, y, dx, up);
            sum += (double)value * (double)weight;
        }
        a->partial[block] = sum;
    }
    return 0;
}

/* As `_reduced` of fastseq/losses/base.py has it: a mean is over the values that the mask leaves. */
static int fs_loss_weights(const fs_loss_weights_args *a, const fs_share *share)
{
    (void)share;
    double sum = 0.0;
    int64_t valid = 0;
    for (int64_t i = 0; i < a->rows; i++) {
        const int there = a->mask ? a->mask[i] != 0 : 1;
        valid += there;
        sum += there && a->weights ? (double)a->weights[i] : (double)there;
    }
    const double divisor = a->reduction == FS_REDUCE_SUM ? 1.0 : a->reduction == FS_REDUCE_MEAN ? (double)valid : sum;
    for (int64_t i = 0; i < a->rows; i++) {
        const double weight = a->mask && !a->mask[i] ? 0.0 : a->weights ? (double)a->weights[i] : 1.0;
        a->y[i] = (float)(divisor != 0.0 ? weight / divisor : 0.0);
    }
    return 0;
}

/* Where the first of the largest of x (n) stands; a NaN counts as the largest, as NumPy has it. */
static int64_t fs_argmax(const float *x, int64_t n)
{
    int nan;
    int64_t found = fs_first_best(x, n, fs_max(x, n), &nan);
    for (int64_t i = 0; nan && i < n; i++)
        if (x[i] != x[i])
            return i;
    return found;
}

/* Numbers of the first largest of each row's few elements. */
FS_INLINE vf fs_short_argmax(const float *x, int64_t rows, int64_t n)
{
    vf lanes[FS_LANES];
    fs_rows_to_lanes(lanes, x, rows, n);
    vf best = lanes[0], number = v_zero();
    for (int64_t k = 1; k < n; k++) {
        /* Stays where what was found is a NaN, else goes where the next is larger or one. */
        vf next = v_select(v_le(lanes[k], best), number, v_set1((float)k));
        vf larger = v_select(v_le(lanes[k], best), best, lanes[k]);
        number = v_select(v_isnan(best), number, next);
        best = v_select(v_isnan(best), best, larger);
    }
    return number;
}

/* hit (rows, at most VLEN): 1 where the largest prediction is the right one. */
static void fs_short_hits(const fs_hits_args *a, int64_t first, int64_t rows, float hit[VLEN])
{
    float truth[VLEN];
    v_store(hit, fs_short_argmax(a->x + first * a->n, rows, a->n));
    if (a->y)
        v_store(truth, fs_short_argmax(a->y + first * a->n, rows, a->n));
    for (int64_t r = 0; r < rows; r++)
        hit[r] = hit[r] == (a->y ? truth[r] : (float)a->classes[first + r]) ? 1.0f : 0.0f;
}

/* How many of a row's predictions are on the side of the threshold that their label is on. */
static double fs_hits_above(const fs_hits_args *a, int64_t row)
{
    const float *x = a->x + row * a->n, *y = a->y + row * a->n;
    int64_t count = 0;
    for (int64_t i = 0; i < a->n; i++)
        count += y[i] == (x[i] > a->threshold ? 1.0f : 0.0f);
    return (double)count / (double)a->n;
}

static int fs_hits(const fs_hits_args *a, const fs_share *share)
{
    const int in_lanes = a->kind == FS_HITS_LARGEST && a->n <= FS_LANES;
    for (int64_t block = share->row_lo; block < share->row_hi; block++) {
        const int64_t lo = block * FS_LOSS_BLOCK, hi = a->rows - lo < FS_LOSS_BLOCK ? a->rows : lo + FS_LOSS_BLOCK;
        double hits = 0.0, all = 0.0;
        float hit[VLEN];
        for (int64_t row = lo; row < hi; row++) {
            const int64_t i = (row - lo) % VLEN;
            const double weight = a->mask && !a->mask[row] ? 0.0 : a->weights ? (double)a->weights[row] : 1.0;
            if (in_lanes && i == 0)
                fs_short_hits(a, row, hi - row < VLEN ? hi - row : VLEN, hit);
            double value;
            if (in_lanes) {
                value = (double)hit[i];
            } else if (a->kind == FS_HITS_ABOVE) {
                value = fs_hits_above(a, row);
            } else {
                const float *y = a->y ? a->y + row * a->n : NULL;
                value = fs_argmax(a->x + row * a->n, a->n) == (y ? fs_argmax(y, a->n) : (int64_t)a->classes[row]);
            }
            hits += value * weight;
            all += weight;
        }
        a->partial[2 * block] = hits;
        a->partial[2 * block + 1] = all;
    }
    return 0;
}

static int fs_column_sums(const fs_column_sums_args *a, const fs_share *share)
{
    (void)share;
    for (int64_t column = 0; column < a->width; column++) {
        double sum = 0.0;
        for (int64_t i = 0; i < a->count; i++)
            sum += a->x[i * a->width + column];
        a->y[column] = sum;
    }
    return 0;
}
