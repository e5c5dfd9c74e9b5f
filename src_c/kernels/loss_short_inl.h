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
    const vf count = v_set1(fs_loss_is_mean(a->kind) ? (float)a->n : 1.0f), unit = v_set1(fs_loss_unit(a->kind));
    const vf each = v_mul(v_div(s->up, count), unit);
    vf sum = v_zero();
    for (int64_t k = 0; k < a->n; k++) {
        fs_loss_term term = fs_loss_term_of(a, s->x[k], s->y[k]);
        sum = v_add(sum, term.value);
        s->dx[k] = v_mul(each, term.slope);
    }
    return v_mul(v_div(sum, count), unit);
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
