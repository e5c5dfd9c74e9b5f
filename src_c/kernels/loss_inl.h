/* Losses and their gradients in one pass. A row is a sample or a timestep: its n predictions give one value. Rows of
   few go as loss_short_inl.h has them, the others one by one. */

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
    const float unit = fs_loss_unit(a->kind);
    const vf each = v_set1(up / count * unit);
    float sum;
    FS_SUM_OF(sum, a->n, fs_term_to(a, x + at, y + at, dx + at, left, each));
    return sum / count * unit;
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
