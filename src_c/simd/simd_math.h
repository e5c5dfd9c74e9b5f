/* exp, tanh, sigmoid ... over the words of simd_<isa>.h, which must be included first. One sequence of correctly
   rounded operations on every ISA, no approximate instruction: so avx512, avx2 and neon give the same bits. Meant to
   run between v_ftz_begin and v_ftz_end. Errors in the comments are maxima against float64 over 6 million arguments.
   NaN in, NaN out everywhere. */
#ifndef FS_SIMD_MATH_H
#define FS_SIMD_MATH_H

#define FS_LOG2E 1.44269504f
/* ln 2 in two parts; the first has 10 bits, so n * FS_LN2_HI is exact even without FMA. */
#define FS_LN2_HI 0.693359375f
#define FS_LN2_LO -2.12194440e-4f
/* 1.5 * 2^23: a sum with it has no fraction bits left, so adding it rounds to the nearest integer, which then stands in
   the low bits. With 127 more, those bits shifted left by 23 are the float 2^n. */
#define FS_ROUND 12582912.0f
#define FS_ROUND_127 12583039.0f

/* Of all NaNs one: +, quiet, no payload, as NumPy's. Which of two NaNs an operation hands on depends on how the
   compiler orders its operands, and the sign of a new one on the CPU; so results go through here before they are
   stored. */
FS_INLINE vf v_one_nan(vf a) { return v_select(v_isnan(a), v_set1(__builtin_nanf("")), a); }

/* e^r on |r| <= ln(2)/2, relative error 3e-9 before rounding. */
FS_INLINE vf v_exp_core(vf r)
{
    vf p = v_set1(0.00138141739f);
    p = v_fma(p, r, v_set1(0.00836892147f));
    p = v_fma(p, r, v_set1(0.0416684076f));
    p = v_fma(p, r, v_set1(0.166665196f));
    p = v_fma(p, r, v_set1(0.49999994f));
    p = v_fma(p, r, v_set1(1.0f));
    return v_fma(p, r, v_set1(1.0f));
}

/* 2^n for the sum t = n + FS_ROUND_127, -126 <= n <= 127. */
FS_INLINE vf v_exp2_of_sum(vf t) { return v_as_float(vi_shl(v_as_int(t), 23)); }

/* 1 ulp. +inf above 88.7228; 2^n in two factors, so that n = 128 and, without FTZ, denormals come out right. */
FS_INLINE vf v_exp(vf x)
{
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    vf t = v_fma(x, v_set1(FS_LOG2E), v_set1(FS_ROUND));
    vf n = v_sub(t, v_set1(FS_ROUND));
    vf r = v_fnma(n, v_set1(FS_LN2_HI), x);
    r = v_fnma(n, v_set1(FS_LN2_LO), r);
    vi whole = vi_sub(v_as_int(t), v_as_int(v_set1(FS_ROUND)));
    vi half = vi_shr(whole, 1);
    vf s1 = v_as_float(vi_shl(vi_add(half, vi_set1(127)), 23));
    vf s2 = v_as_float(vi_shl(vi_add(vi_sub(whole, half), vi_set1(127)), 23));
    return v_mul(v_mul(v_exp_core(r), s1), s2);
}

/* E / (E + 1) with E = (e^2u - 1) / 2, u = |x|: 2.4 ulp, never above 1, exactly odd, and nothing cancels near zero.
   Shorter rational forms were measured at 5 ulp and pass 1. */
FS_INLINE vf v_tanh(vf x)
{
    vf u = v_min(v_set1(9.02f), v_abs(x));
    vf t = v_fma(u, v_set1(2.0f * FS_LOG2E), v_set1(FS_ROUND_127));
    vf n = v_sub(t, v_set1(FS_ROUND_127));
    /* One step for ln 2 / 2: its error times n <= 26 stays below 0.05 ulp of the result. */
    vf r = v_fnma(n, v_set1(0.346573591f), u);
    vf p = v_set1(0.044423949f);
    p = v_fma(p, r, v_set1(0.133867413f));
    p = v_fma(p, r, v_set1(0.333337635f));
    p = v_fma(p, r, v_set1(0.66666168f));
    p = v_fma(p, r, v_set1(0.99999994f));
    p = v_fma(v_mul(r, r), p, r); /* (e^2r - 1) / 2 */
    vf s = v_exp2_of_sum(t);
    vf e = v_fma(s, p, v_fma(s, v_set1(0.5f), v_set1(-0.5f)));
    return v_copysign(v_div(e, v_add(e, v_set1(1.0f))), x);
}

/* 1 / (1 + e^-x), 2.5 ulp, far into the negative side too. Below -87.4 the result is denormal: 0 under FTZ. */
FS_INLINE vf v_sigmoid(vf x)
{
    x = v_min(v_set1(87.0f), v_max(v_set1(-88.0f), x));
    vf t = v_fnma(x, v_set1(FS_LOG2E), v_set1(FS_ROUND_127));
    vf n = v_sub(t, v_set1(FS_ROUND_127));
    /* r = x + n ln 2 is the negative of the usual remainder; the odd coefficients carry its sign. */
    vf r = v_fma(n, v_set1(FS_LN2_HI), x);
    r = v_fma(n, v_set1(FS_LN2_LO), r);
    vf p = v_set1(0.00138141739f);
    p = v_fma(p, r, v_set1(-0.00836892147f));
    p = v_fma(p, r, v_set1(0.0416684076f));
    p = v_fma(p, r, v_set1(-0.166665196f));
    p = v_fma(p, r, v_set1(0.49999994f));
    p = v_fma(p, r, v_set1(-1.0f));
    p = v_fma(p, r, v_set1(1.0f));
    return v_div(v_set1(1.0f), v_fma(v_exp2_of_sum(t), p, v_set1(1.0f)));
}

/* e^x - 1 without cancellation near 0; +inf above 88.7228. */
FS_INLINE vf v_expm1(vf x)
{
    vf y = v_min(v_set1(88.0f), v_max(v_set1(-25.0f), x));
    vf t = v_fma(y, v_set1(FS_LOG2E), v_set1(FS_ROUND_127));
    vf n = v_sub(t, v_set1(FS_ROUND_127));
    vf r = v_fnma(n, v_set1(FS_LN2_HI), y);
    r = v_fnma(n, v_set1(FS_LN2_LO), r);
    vf p = v_set1(0.00138824841f);
    p = v_fma(p, r, v_set1(0.0083667133f));
    p = v_fma(p, r, v_set1(0.0416672044f));
    p = v_fma(p, r, v_set1(0.16666542f));
    p = v_fma(p, r, v_set1(0.49999997f));
    p = v_fma(v_mul(r, r), p, r);
    vf s = v_exp2_of_sum(t);
    vf e = v_fma(s, p, v_sub(s, v_set1(1.0f)));
    e = v_select(v_gt(x, v_set1(88.0f)), v_exp(x), e);
    return v_select(v_eq(x, v_zero()), x, e); /* -0 stays -0 */
}

/* log(1 + f) + n ln 2, sqrt(1/2) - 1 <= f <= sqrt(2) - 1. */
FS_INLINE vf v_log_core(vf f, vf n)
{
    vf p = v_set1(-0.0763449296f);
    p = v_fma(p, f, v_set1(0.12761575f));
    p = v_fma(p, f, v_set1(-0.131601825f));
    p = v_fma(p, f, v_set1(0.142017588f));
    p = v_fma(p, f, v_set1(-0.166233569f));
    p = v_fma(p, f, v_set1(0.200012267f));
    p = v_fma(p, f, v_set1(-0.250008196f));
    p = v_fma(p, f, v_set1(0.333333313f));
    vf ff = v_mul(f, f);
    p = v_mul(v_mul(p, f), ff);
    p = v_fma(n, v_set1(FS_LN2_LO), p);
    p = v_add(v_fnma(ff, v_set1(0.5f), p), f);
    return v_fma(n, v_set1(FS_LN2_HI), p);
}

/* The exponent n of x = m 2^n with sqrt(1/2) <= m < sqrt(2), for normal x > 0. */
FS_INLINE vi v_exponent(vf x)
{
    return vi_shr(vi_sub(v_as_int(x), vi_set1(0x3f3504f3)), 23);
}

/* What log gives where it is not finite: x is the argument of the log itself. */
FS_INLINE vf v_log_ends(vf x, vf y)
{
    const vf inf = v_set1(__builtin_inff());
    y = v_select(v_eq(x, inf), inf, y);
    y = v_select(v_eq(x, v_zero()), v_neg(inf), y);
    y = v_select(v_lt(x, v_zero()), v_set1(__builtin_nanf("")), y);
    return v_select(v_isnan(x), x, y);
}

/* 1 ulp. Denormals count as 0: -inf. */
FS_INLINE vf v_log(vf x)
{
    vi n = v_exponent(x);
    vf m = v_as_float(vi_sub(v_as_int(x), vi_shl(n, 23)));
    return v_log_ends(x, v_log_core(v_sub(m, v_set1(1.0f)), v_from_int(n)));
}

/* log(1 + x), exact to the last bits for small x too: m - 1 is built from x, not from the rounded 1 + x. */
FS_INLINE vf v_log1p(vf x)
{
    vf u = v_add(v_set1(1.0f), x);
    vi n = v_exponent(u);
    vf scale = v_as_float(vi_sub(vi_set1(0x3f800000), vi_shl(n, 23))); /* 2^-n */
    vf f = v_fma(x, scale, v_sub(scale, v_set1(1.0f)));
    /* From 2^24 on 1 + x is x, and 2^-n would leave the normal numbers at the upper end. */
    vf m = v_as_float(vi_sub(v_as_int(u), vi_shl(n, 23)));
    f = v_select(v_gt(u, v_set1(16777216.0f)), v_sub(m, v_set1(1.0f)), f);
    vf y = v_log_ends(u, v_log_core(f, v_from_int(n)));
    return v_select(v_eq(x, v_zero()), x, y);
}

/* log(1 + e^x) = max(x, 0) + log1p(e^-|x|): no threshold where accuracy drops, as it does at -13.9 in TensorFlow. */
FS_INLINE vf v_softplus(vf x)
{
    vf e = v_exp(v_neg(v_abs(x)));
    /* 0 <= e <= 1, so of v_log1p only the core is needed; NaN passes through it. */
    vi n = v_exponent(v_add(v_set1(1.0f), e));
    vf scale = v_as_float(vi_sub(vi_set1(0x3f800000), vi_shl(n, 23)));
    vf f = v_fma(e, scale, v_sub(scale, v_set1(1.0f)));
    return v_add(v_max(v_zero(), x), v_log_core(f, v_from_int(n)));
}

/* The upper tail of the standard normal distribution at u >= 0 (or NaN): e^(-u^2/2) G((u - 3) / (u + 3)). */
FS_INLINE vf v_normal_tail(vf u)
{
    u = v_min(v_set1(14.0f), u);
    vf s = v_div(v_sub(u, v_set1(3.0f)), v_add(u, v_set1(3.0f)));
    vf g = v_set1(5.41509835e-05f);
    g = v_fma(g, s, v_set1(0.00011603759f));
    g = v_fma(g, s, v_set1(-0.000339911348f));
    g = v_fma(g, s, v_set1(-0.000984182931f));
    g = v_fma(g, s, v_set1(0.00290470268f));
    g = v_fma(g, s, v_set1(0.00613218313f));
    g = v_fma(g, s, v_set1(-0.0462133139f));
    g = v_fma(g, s, v_set1(0.123225018f));
    g = v_fma(g, s, v_set1(-0.206402615f));
    g = v_fma(g, s, v_set1(0.121513948f));
    /* The rounding error of u^2/2 would be 40 ulp of the result at u = 12; the FMA recovers it. */
    vf half = v_mul(u, v_set1(-0.5f));
    vf square = v_mul(half, u);
    vf lost = v_fma(half, u, v_neg(square)); /* 0 without FMA */
    vf e = v_exp(square);
    return v_mul(v_fma(e, lost, e), g);
}

FS_INLINE vf v_erf(vf x)
{
    vf z = v_mul(x, x);
    vf p = v_set1(7.85386073e-05f);
    p = v_fma(p, z, v_set1(-0.000801019371f));
    p = v_fma(p, z, v_set1(0.00518832775f));
    p = v_fma(p, z, v_set1(-0.0268538129f));
    p = v_fma(p, z, v_set1(0.112835854f));
    p = v_fma(p, z, v_set1(-0.37612626f));
    p = v_fma(p, z, v_set1(1.12837911f));
    vf tail = v_normal_tail(v_mul(v_abs(x), v_set1(1.41421356f)));
    vf outer = v_copysign(v_fnma(v_set1(2.0f), tail, v_set1(1.0f)), x);
    return v_select(v_lt(v_abs(x), v_set1(1.0f)), v_mul(x, p), outer);
}

/* Sums and maxima over an array run in 16 lanes on every ISA (element i in lane i % 16, in order of i) and then in one
   fixed tree over the lanes: so the bits do not depend on the vector length. A sum adds up blocks of 128 elements: the
   error of a softmax over 1000 is half that of one long sum per lane. */
#define FS_LANES 16
#define FS_LANE_VECS (FS_LANES / VLEN)
#define FS_SUM_BLOCK 128

/* The 16 lanes folded in half four times: one order on every ISA. */
FS_INLINE float fs_lane_sum(const vf v[FS_LANE_VECS])
{
    vf folded[FS_LANE_VECS];
    for (int j = 0; j < FS_LANE_VECS; j++)
        folded[j] = v[j];
    for (int half = FS_LANE_VECS / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            folded[j] = v_add(folded[j], folded[j + half]);
    return v_fold_sum(folded[0]);
}
/* Of numbers; what it gives where one is NaN depends on the lane. */
FS_INLINE float fs_lane_max(const vf v[FS_LANE_VECS])
{
    vf folded[FS_LANE_VECS];
    for (int j = 0; j < FS_LANE_VECS; j++)
        folded[j] = v[j];
    for (int half = FS_LANE_VECS / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            folded[j] = v_max(folded[j], folded[j + half]);
    return v_fold_max(folded[0]);
}

/* v, where the lane is one of the first n of 16, else `fill`. */
FS_INLINE void fs_lane_fill(vf v[FS_LANE_VECS], int n, float fill)
{
    static const float number[FS_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int j = 0; j < FS_LANE_VECS; j++)
        v[j] = v_select(v_lt(v_load(number + j * VLEN), v_set1((float)n)), v[j], v_set1(fill));
}
/* x (n), 0 < n <= 16, with `fill` in the lanes after them. */
FS_INLINE void fs_lane_load(vf v[FS_LANE_VECS], const float *x, int n, float fill)
{
    for (int j = 0; j < FS_LANE_VECS; j++) {
        int left = n - j * VLEN;
        v[j] = left > 0 ? v_load_part(x + j * VLEN, left < VLEN ? left : VLEN) : v_zero();
    }
    fs_lane_fill(v, n, fill);
}
FS_INLINE void fs_lane_store(float *y, int n, const vf v[FS_LANE_VECS])
{
    for (int j = 0; j < FS_LANE_VECS && n > j * VLEN; j++)
        v_store_part(y + j * VLEN, n - j * VLEN < VLEN ? n - j * VLEN : VLEN, v[j]);
}

/* x (n) */
__attribute__((unused)) static float fs_sum(const float *x, int64_t n)
{
    vf total[FS_LANE_VECS];
    for (int j = 0; j < FS_LANE_VECS; j++)
        total[j] = v_zero();
    for (int64_t i = 0; i < n;) {
        const int64_t end = n - i < FS_SUM_BLOCK ? n : i + FS_SUM_BLOCK;
        vf acc[FS_LANE_VECS];
        for (int j = 0; j < FS_LANE_VECS; j++)
            acc[j] = v_zero();
        for (; i + FS_LANES <= end; i += FS_LANES)
            for (int j = 0; j < FS_LANE_VECS; j++)
                acc[j] = v_add(acc[j], v_load(x + i + j * VLEN));
        for (int j = 0; j < FS_LANE_VECS && i + j * VLEN < end; j++) {
            const int64_t left = end - i - j * VLEN;
            acc[j] = v_add(acc[j], v_load_part(x + i + j * VLEN, left < VLEN ? (int)left : VLEN));
        }
        for (int j = 0; j < FS_LANE_VECS; j++)
            total[j] = v_add(total[j], acc[j]);
        i = end;
    }
    return fs_lane_sum(total);
}

/* x (n); -inf for n = 0. A NaN among them may be lost: for callers that meet it again. Four maxima at a time: one alone
   waits for itself at every step. */
__attribute__((unused)) static float fs_max(const float *x, int64_t n)
{
    enum { SIDE = 4 * FS_LANE_VECS };
    vf acc[SIDE];
    int64_t i = 0;
    for (int j = 0; j < SIDE; j++)
        acc[j] = v_set1(-__builtin_inff());
    for (; i + 4 * FS_LANES <= n; i += 4 * FS_LANES)
        for (int j = 0; j < SIDE; j++)
            acc[j] = v_max(acc[j], v_load(x + i + j * VLEN));
    for (; i < n; i += FS_LANES) {
        vf last[FS_LANE_VECS];
        fs_lane_load(last, x + i, n - i < FS_LANES ? (int)(n - i) : FS_LANES, -__builtin_inff());
        for (int j = 0; j < FS_LANE_VECS; j++)
            acc[j] = v_max(acc[j], last[j]);
    }
    for (int side = 1; side < 4; side++)
        for (int j = 0; j < FS_LANE_VECS; j++)
            acc[j] = v_max(acc[j], acc[side * FS_LANE_VECS + j]);
    return fs_lane_max(acc);
}
#endif
