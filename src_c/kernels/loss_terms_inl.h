/* What losses are made of: probabilities and labels, sums over rows, and the terms of the losses that are means of
   them. The formulas are those of fastseq/losses, the twin that tests compare with. */

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
    case FS_LOSS_PERCENTAGE: {
        const vf size = v_max(v_set1(1e-7f), v_abs(y)), part = v_div(error, size);
        return (fs_loss_term){v_abs(part), v_select(v_eq(part, zero), zero, v_div(fs_sign(part, one), size))};
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
/* What a row's value is multiplied with at the end. */
FS_INLINE float fs_loss_unit(int64_t kind) { return kind == FS_LOSS_PERCENTAGE ? 100.0f : 1.0f; }

/* The label as it counts after smoothing. */
FS_INLINE vf fs_label(const fs_loss_args *a, vf y)
{
    return v_add(v_mul(y, v_set1(a->label_scale)), v_set1(a->label_shift));
}

FS_INLINE float fs_row_weight(const fs_loss_args *a, int64_t row) { return a->weights ? a->weights[row] : a->even; }
