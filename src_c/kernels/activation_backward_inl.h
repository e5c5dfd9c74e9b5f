/* Slopes of the elementwise activations, as TensorFlow's gradients of Keras's formulas have them, at their kinks too:
   relu's slope at 0 is 0, a clipped range passes its gradient at both ends. */

FS_INLINE vf fs_vone_where(vm m) { return v_select(m, v_set1(1.0f), v_zero()); }

/* 1 - y^2 and y (1 - y), from the activation's value. */
FS_INLINE vf fs_vtanh_slope(vf y) { return v_fnma(y, y, v_set1(1.0f)); }
FS_INLINE vf fs_vsigmoid_slope(vf y) { return v_fnma(y, y, y); }

/* The slope of fs_vrelu_general at x; p as there. */
FS_INLINE vf fs_vrelu_slope(vf x, const float *p)
{
    const vf zero = v_zero(), slope = v_bcast(p), top = v_bcast(p + 1), threshold = v_bcast(p + 2);
    const int clipped = p[1] != __builtin_inff();
    if (p[0] != 0.0f && !clipped && p[2] == 0.0f)
        return v_select(v_gt(x, zero), v_set1(1.0f), slope);
    vf y = fs_vone_where(p[2] != 0.0f ? v_gt(x, threshold) : v_gt(x, zero));
    if (clipped) /* what passed the threshold is x: negative values and those above the top are cut off */
        y = v_select(v_lt(x, zero), zero, v_select(v_gt(x, top), zero, y));
    if (p[0] != 0.0f)
        y = v_add(y, v_select(v_lt(x, threshold), slope, zero));
    return y;
}

FS_INLINE vf fs_vhard_sigmoid_slope(vf x)
{
    return v_select(v_lt(v_abs(x), v_set1(3.0f)), v_set1(0.166666672f), v_zero());
}

/* Phi(x) + x phi(x) */
FS_INLINE vf fs_vgelu_slope(vf x)
{
    vf tail = v_normal_tail(v_abs(x));
    vf below = v_select(v_lt(x, v_zero()), tail, v_sub(v_set1(1.0f), tail));
    vf density = v_mul(v_set1(0.398942280f), v_exp(v_mul(v_mul(x, v_set1(-0.5f)), x)));
    return v_fma(x, density, below);
}

FS_INLINE vf fs_vgelu_tanh_slope(vf x)
{
    vf square = v_mul(x, x);
    vf k = v_mul(v_set1(1.59576912f), v_fma(v_mul(square, x), v_set1(0.044715f), x));
    vf s = v_sigmoid(k), inner = v_mul(v_set1(1.59576912f), v_fma(v_set1(0.134145f), square, v_set1(1.0f)));
    return v_fma(v_mul(x, fs_vsigmoid_slope(s)), inner, s);
}

/* d activation / d x at x. Elementwise kinds only; out of line, as fs_vact_other is. */
__attribute__((noinline, unused)) static vf fs_vslope(int kind, vf x, const float *p)
{
    const vf zero = v_zero(), one = v_set1(1.0f);
    switch (kind) {
    case FS_ACT_TANH:
        return fs_vtanh_slope(v_tanh(x));
    case FS_ACT_SIGMOID:
        return fs_vsigmoid_slope(v_sigmoid(x));
    case FS_ACT_RELU:
        return fs_vrelu_slope(x, p);
    case FS_ACT_LEAKY_RELU:
        return v_select(v_gt(x, zero), one, v_bcast(p));
    case FS_ACT_RELU6:
        return v_select(v_lt(x, v_set1(6.0f)), fs_vone_where(v_gt(x, zero)), zero);
    case FS_ACT_ELU:
        return v_select(v_gt(x, zero), one, v_mul(v_bcast(p), v_exp(v_min(zero, x))));
    case FS_ACT_SELU:
        return v_select(v_lt(x, zero), v_mul(v_set1(1.75809934f), v_exp(v_min(zero, x))), v_set1(1.05070099f));
    case FS_ACT_CELU: { /* at 0 both of its halves pass, as TensorFlow has it */
        vf y = v_select(v_gt(x, zero), one, v_exp(v_div(v_min(zero, x), v_bcast(p))));
        return v_select(v_eq(x, zero), v_set1(2.0f), y);
    }
    case FS_ACT_SOFTPLUS:
        return v_sigmoid(x);
    case FS_ACT_SOFTSIGN: {
        vf d = v_add(one, v_abs(x));
        return v_div(one, v_mul(d, d));
    }
    case FS_ACT_SQUAREPLUS:
        return v_mul(v_set1(0.5f), v_add(one, v_div(x, v_sqrt(v_fma(x, x, v_bcast(p))))));
    case FS_ACT_SOFT_SHRINK:
    case FS_ACT_HARD_SHRINK:
        return fs_vone_where(v_gt(v_abs(x), v_bcast(p)));
    case FS_ACT_SPARSE_PLUS: {
        vf middle = v_select(v_lt(x, one), v_mul(v_set1(0.5f), v_add(x, one)), one);
        return v_select(v_le(x, v_set1(-1.0f)), zero, middle);
    }
    case FS_ACT_SILU: {
        vf s = v_sigmoid(x);
        return v_fma(v_mul(x, s), v_sub(one, s), s);
    }
    case FS_ACT_GELU:
        return fs_vgelu_slope(x);
    case FS_ACT_GELU_TANH:
        return fs_vgelu_tanh_slope(x);
    case FS_ACT_TANH_SHRINK: {
        vf t = v_tanh(x);
        return v_mul(t, t);
    }
    case FS_ACT_THRESHOLD:
        return fs_vone_where(v_gt(x, v_bcast(p)));
    case FS_ACT_SPARSE_SIGMOID:
        return v_select(v_lt(v_abs(x), one), v_set1(0.5f), zero);
    case FS_ACT_EXPONENTIAL:
        return v_exp(x);
    case FS_ACT_HARD_SIGMOID:
        return fs_vhard_sigmoid_slope(x);
    case FS_ACT_HARD_SIGMOID_KERAS2:
        return v_select(v_lt(v_abs(x), v_set1(2.5f)), v_set1(0.2f), zero);
    case FS_ACT_HARD_SILU:
        return v_fma(x, fs_vhard_sigmoid_slope(x), fs_vhard_sigmoid(x));
    case FS_ACT_HARD_TANH:
        return fs_vone_where(v_le(v_abs(x), one));
    case FS_ACT_MISH: {
        vf t = v_tanh(v_softplus(x));
        return v_fma(v_mul(x, fs_vtanh_slope(t)), v_sigmoid(x), t);
    }
    case FS_ACT_LOG_SIGMOID:
        return v_sigmoid(v_neg(x));
    default: /* linear */
        return one;
    }
}

/* The same from the activation's value, for kinds whose value tells it: linear, tanh, sigmoid, relu without parameters,
   exponential. Others take x. */
FS_INLINE vf fs_vslope_of_value(int kind, vf y)
{
    const vf zero = v_zero(), one = v_set1(1.0f);
    switch (kind) {
    case FS_ACT_TANH:
        return fs_vtanh_slope(y);
    case FS_ACT_SIGMOID:
        return fs_vsigmoid_slope(y);
    case FS_ACT_RELU:
        return fs_vone_where(v_gt(y, zero));
    case FS_ACT_EXPONENTIAL:
        return y;
    default: /* linear */
        return one;
    }
}

/* A gate in the backward pass: its value and its slope, from what the trace kept of it (fs_keeps_values). */
typedef struct {
    vf value, slope;
} fs_gate;

FS_INLINE fs_gate fs_gate_of(int kind, vf kept, const float *p, int values)
{
    if (values)
        return (fs_gate){kept, kind == FS_ACT_TANH ? fs_vtanh_slope(kept) : fs_vsigmoid_slope(kept)};
    return (fs_gate){fs_vact(kind, kept, p), fs_vslope(kind, kept, p)};
}

static int fs_activation_backward(const fs_activation_backward_args *a, const fs_share *share)
{
    const float p[3] = {a->p0, a->p1, a->p2};
    const int kind = (int)a->kind;
    for (int64_t i = share->row_lo; i < share->row_hi; i += VLEN) {
        const int n = share->row_hi - i < VLEN ? (int)(share->row_hi - i) : VLEN;
        vf slope = a->x ? fs_vslope(kind, v_load_part(a->x + i, n), p)
                        : fs_vslope_of_value(kind, v_load_part(a->y + i, n));
        v_store_part(a->dx + i, n, v_mul(v_load_part(a->dy + i, n), slope));
    }
    return 0;
}
