/* Every built-in activation of Keras 3.15 over vectors, arrays and rows. The formulas are those of Keras on TensorFlow,
   with its NaN and inf for extreme input (silu(-inf) is NaN: -inf * 0), but not its rounding where ours is closer. */
#ifndef FS_ACTIVATION_INL_H
#define FS_ACTIVATION_INL_H

/* p (3): negative_slope, max_value (inf if none), threshold. As in Keras: with a threshold and no slope NaN gives 0,
   and without max_value what lies between a negative threshold and 0 passes. */
FS_INLINE vf fs_vrelu_general(vf x, const float *p)
{
    const vf zero = v_zero(), slope = v_bcast(p), top = v_bcast(p + 1), threshold = v_bcast(p + 2);
    const int clipped = p[1] != __builtin_inff();
    if (p[0] != 0.0f && !clipped && p[2] == 0.0f)
        return v_select(v_gt(x, zero), x, v_mul(slope, x));
    vf y = p[2] != 0.0f ? v_select(v_gt(x, threshold), x, zero) : v_max(zero, x);
    if (clipped)
        y = v_min(top, v_max(zero, y));
    if (p[0] != 0.0f)
        y = v_sub(y, v_mul(slope, v_max(zero, v_sub(threshold, x))));
    return y;
}

FS_INLINE vf fs_vhard_sigmoid(vf x)
{
    vf y = v_min(v_set1(6.0f), v_max(v_zero(), v_add(x, v_set1(3.0f))));
    return v_div(y, v_set1(6.0f));
}

FS_INLINE vf fs_vcelu(vf x, vf alpha)
{
    vf negative = v_expm1(v_div(v_min(v_zero(), x), alpha));
    return v_add(v_max(v_zero(), x), v_mul(alpha, negative));
}

/* x Phi(x); the tail keeps relative accuracy down to the last normal number. */
FS_INLINE vf fs_vgelu(vf x)
{
    vf tail = v_normal_tail(v_abs(x));
    return v_mul(x, v_select(v_lt(x, v_zero()), tail, v_sub(v_set1(1.0f), tail)));
}

/* 0.5 x (1 + tanh(k)) = x sigmoid(2k), k = sqrt(2/pi) (x + 0.044715 x^3): no cancellation for negative x. */
FS_INLINE vf fs_vgelu_tanh(vf x)
{
    vf k = v_fma(v_mul(v_mul(x, x), x), v_set1(0.044715f), x);
    return v_mul(x, v_sigmoid(v_mul(v_set1(1.59576912f), k)));
}

/* x - tanh(x); below 0.5 by its own series, as the difference would keep no digit of x^3 / 3. */
FS_INLINE vf fs_vtanh_shrink(vf x)
{
    vf z = v_mul(x, x);
    vf p = v_set1(-0.00249544042f);
    p = v_fma(p, z, v_set1(0.00850481726f));
    p = v_fma(p, z, v_set1(-0.0218132734f));
    p = v_fma(p, z, v_set1(0.0539642014f));
    p = v_fma(p, z, v_set1(-0.133333221f));
    p = v_fma(p, z, v_set1(0.333333343f));
    p = v_mul(v_mul(p, z), x);
    return v_select(v_lt(v_abs(x), v_set1(0.5f)), p, v_sub(x, v_tanh(x)));
}

/* p of each kind is named at its case; kinds without a name there read no p. Out of line, so that the recurrent
   kernels hold only the common four. */
__attribute__((noinline, unused)) static vf fs_vact_other(int kind, vf x, const float *p)
{
    const vf zero = v_zero(), one = v_set1(1.0f);
    switch (kind) {
    case FS_ACT_RELU: /* negative_slope, max_value, threshold */
        return fs_vrelu_general(x, p);
    case FS_ACT_LEAKY_RELU: /* negative_slope */
        return v_select(v_gt(x, zero), x, v_mul(v_bcast(p), x));
    case FS_ACT_RELU6:
        return v_min(v_set1(6.0f), v_max(zero, x));
    case FS_ACT_ELU: /* alpha */
        return v_select(v_gt(x, zero), x, v_mul(v_bcast(p), v_expm1(x)));
    case FS_ACT_SELU:
        return v_select(v_lt(x, zero), v_mul(v_set1(1.75809934f), v_expm1(x)), v_mul(v_set1(1.05070099f), x));
    case FS_ACT_CELU: /* alpha */
        return fs_vcelu(x, v_bcast(p));
    case FS_ACT_SOFTPLUS:
        return v_softplus(x);
    case FS_ACT_SOFTSIGN:
        return v_div(x, v_add(one, v_abs(x)));
    case FS_ACT_SQUAREPLUS: /* b */
        return v_mul(v_set1(0.5f), v_add(x, v_sqrt(v_fma(x, x, v_bcast(p)))));
    case FS_ACT_SOFT_SHRINK: { /* threshold */
        vf t = v_bcast(p);
        vf below = v_select(v_lt(x, v_neg(t)), v_add(x, t), zero);
        return v_select(v_gt(x, t), v_sub(x, t), below);
    }
    case FS_ACT_HARD_SHRINK: /* threshold */
        return v_select(v_gt(v_abs(x), v_bcast(p)), x, zero);
    case FS_ACT_SPARSE_PLUS: {
        vf up = v_add(x, one);
        vf middle = v_select(v_lt(x, one), v_mul(v_set1(0.25f), v_mul(up, up)), x);
        return v_select(v_le(x, v_set1(-1.0f)), zero, middle);
    }
    case FS_ACT_SILU:
        return v_mul(x, v_sigmoid(x));
    case FS_ACT_GELU:
        return fs_vgelu(x);
    case FS_ACT_GELU_TANH:
        return fs_vgelu_tanh(x);
    case FS_ACT_TANH_SHRINK:
        return fs_vtanh_shrink(x);
    case FS_ACT_THRESHOLD: /* threshold, default_value */
        return v_select(v_gt(x, v_bcast(p)), x, v_bcast(p + 1));
    case FS_ACT_SPARSE_SIGMOID: {
        vf middle = v_select(v_ge(x, one), one, v_mul(v_set1(0.5f), v_add(x, one)));
        return v_select(v_le(x, v_set1(-1.0f)), zero, middle);
    }
    case FS_ACT_EXPONENTIAL:
        return v_exp(x);
    case FS_ACT_HARD_SIGMOID:
        return fs_vhard_sigmoid(x);
    case FS_ACT_HARD_SIGMOID_KERAS2: /* what a model file written by Keras 2 means by hard_sigmoid */
        return v_min(one, v_max(zero, v_add(v_mul(v_set1(0.2f), x), v_set1(0.5f))));
    case FS_ACT_HARD_SILU:
        return v_mul(x, fs_vhard_sigmoid(x));
    case FS_ACT_HARD_TANH:
        return v_min(one, v_max(v_set1(-1.0f), x));
    case FS_ACT_MISH:
        return v_mul(x, v_tanh(v_softplus(x)));
    case FS_ACT_LOG_SIGMOID:
        return v_neg(v_softplus(v_neg(x)));
    default: /* linear, and nothing else: Python hands out the numbers */
        return x;
    }
}

FS_INLINE int fs_relu_is_plain(const float *p)
{
    return p[0] == 0.0f && p[1] == __builtin_inff() && p[2] == 0.0f;
}

/* Elementwise kinds only. */
FS_INLINE vf fs_vact(int kind, vf x, const float *p)
{
    if (kind == FS_ACT_TANH)
        return v_tanh(x);
    if (kind == FS_ACT_SIGMOID)
        return v_sigmoid(x);
    if (kind == FS_ACT_LINEAR)
        return x;
    if (kind == FS_ACT_RELU && fs_relu_is_plain(p))
        return v_max(v_zero(), x);
    return fs_vact_other(kind, x, p);
}

/* y (n) = expression in v, which holds x (n); y may be x. */
#define FS_MAP(y, x, n, expression)                                                                                    \
    do {                                                                                                               \
        int64_t at = 0;                                                                                                \
        for (; at + VLEN <= (n); at += VLEN) {                                                                         \
            vf v = v_load((x) + at);                                                                                   \
            v_store((y) + at, v_one_nan(expression));                                                                  \
        }                                                                                                              \
        if (at < (n)) {                                                                                                \
            vf v = v_load_part((x) + at, (int)((n)-at));                                                               \
            v_store_part((y) + at, (int)((n)-at), v_one_nan(expression));                                              \
        }                                                                                                              \
    } while (0)

/* x, y (n); y may be x. Elementwise kinds only. */
__attribute__((unused)) static void fs_act_array(int kind, const float *p, float *y, const float *x, int64_t n)
{
    if (kind == FS_ACT_TANH)
        FS_MAP(y, x, n, v_tanh(v));
    else if (kind == FS_ACT_SIGMOID)
        FS_MAP(y, x, n, v_sigmoid(v));
    else if (kind == FS_ACT_RELU && fs_relu_is_plain(p))
        FS_MAP(y, x, n, v_max(v_zero(), v));
    else if (kind != FS_ACT_LINEAR)
        FS_MAP(y, x, n, fs_vact_other(kind, v, p));
    else if (y != x)
        FS_MAP(y, x, n, v);
}

/* A row that fits the lanes stays in registers: the same operations in the same order as below. The lanes past its end
   get the first value, since e^x takes 30 ns where it underflows, and count nothing. */
FS_INLINE void fs_row_softmax_short(float *y, const float *x, int n)
{
    vf v[FS_LANE_VECS];
    fs_lane_load(v, x, n, x[0]);
    const vf max = v_set1(fs_lane_max(v));
    for (int j = 0; j < FS_LANE_VECS; j++)
        v[j] = v_exp(v_sub(v[j], max));
    fs_lane_fill(v, n, 0.0f);
    const vf sum = v_set1(fs_lane_sum(v));
    for (int j = 0; j < FS_LANE_VECS; j++)
        v[j] = v_one_nan(v_div(v[j], sum));
    fs_lane_store(y, n, v);
}

/* x, y (n); y may be x. A NaN or an infinite maximum makes the whole row NaN, as in TensorFlow's own kernel; its oneDNN
   one, on by default on some CPUs, leaves zeros beside the NaN, but not at every n. */
__attribute__((unused)) static void fs_row_softmax(float *y, const float *x, int64_t n)
{
    if (n > 0 && n <= FS_LANES) {
        fs_row_softmax_short(y, x, (int)n);
        return;
    }
    const vf max = v_set1(fs_max(x, n)); /* a NaN that it loses comes back in the sum */
    FS_MAP(y, x, n, v_exp(v_sub(v, max)));
    const vf sum = v_set1(fs_sum(y, n));
    FS_MAP(y, y, n, v_div(v, sum));
}

/* x, y (n), scratch (n); y may be x. A NaN or an infinite maximum anywhere makes the whole row NaN. */
__attribute__((unused)) static void fs_row_log_softmax(float *y, const float *x, int64_t n, float *scratch)
{
    const vf max = v_set1(fs_max(x, n));
    FS_MAP(scratch, x, n, v_exp(v_sub(v, max)));
    const vf log_sum = v_log(v_set1(fs_sum(scratch, n)));
    FS_MAP(y, x, n, v_sub(v_sub(v, max), log_sum));
}

/* a (n), largest first. Heap sort: no recursion, no allocation, n log n for any order. */
__attribute__((unused)) static void fs_sort_descending(float *a, int64_t n)
{
    for (int64_t built = n / 2, size = n; size > 1;) {
        float moved;
        if (built > 0) {
            moved = a[--built];
        } else {
            moved = a[--size];
            a[size] = a[0];
        }
        int64_t at = built;
        for (int64_t child = 2 * at + 1; child < size; child = 2 * at + 1) {
            child += child + 1 < size && a[child + 1] < a[child];
            if (!(a[child] < moved))
                break;
            a[at] = a[child];
            at = child;
        }
        a[at] = moved;
    }
}

/* x, y (n), scratch (n); y may be x. Keras 3.15 subtracts (sum over the support of ALL running sums - 1) / k where the
   paper (Martins and Astudillo 2016) takes the last running sum; trained models expect Keras's numbers. */
__attribute__((unused)) static void fs_row_sparsemax(float *y, const float *x, int64_t n, float *scratch)
{
    int64_t count = 0; /* a NaN stops TensorFlow's running sum */
    for (; count < n && x[count] == x[count]; count++)
        scratch[count] = x[count];
    fs_sort_descending(scratch, count);
    float running = 0.0f, k = 0.0f;
    double total = 0.0;
    for (int64_t i = 0; i < count; i++) {
        running += scratch[i];
        if (scratch[i] - (running - 1.0f) / (float)(i + 1) > 0.0f) {
            total += running;
            k += 1.0f;
        }
    }
    const vf tau = v_set1((float)(total - 1.0) / k);
    FS_MAP(y, x, n, v_max(v_zero(), v_sub(v, tau)));
}

/* x (n) with n even, y (n / 2): first half times the sigmoid of the second; y may be x. */
__attribute__((unused)) static void fs_row_glu(float *y, const float *x, int64_t n)
{
    const int64_t half = n / 2;
    int64_t i = 0;
    for (; i + VLEN <= half; i += VLEN)
        v_store(y + i, v_one_nan(v_mul(v_load(x + i), v_sigmoid(v_load(x + half + i)))));
    if (i < half) {
        const int left = (int)(half - i);
        vf v = v_mul(v_load_part(x + i, left), v_sigmoid(v_load_part(x + half + i, left)));
        v_store_part(y + i, left, v_one_nan(v));
    }
}

/* x (n), y (n; n / 2 for glu), scratch (n); y may be x. Row-wise kinds only. */
__attribute__((unused)) static void fs_row_apply(int kind, float *y, const float *x, int64_t n, float *scratch)
{
    if (kind == FS_ACT_SOFTMAX)
        fs_row_softmax(y, x, n);
    else if (kind == FS_ACT_LOG_SOFTMAX)
        fs_row_log_softmax(y, x, n, scratch);
    else if (kind == FS_ACT_SPARSEMAX)
        fs_row_sparsemax(y, x, n, scratch);
    else if (kind == FS_ACT_GLU)
        fs_row_glu(y, x, n);
}
#endif
