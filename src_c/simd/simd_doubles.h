/* What the functions in double share, over the words of simd_<isa>.h, which must be included first.

   A function of floats is computed in double and rounded once, so its error is half an ulp and what its polynomials
   add, some thousandths. The words multiply and add one after the other, never fused: so `scalar` gives the same bits
   as the instruction sets with FMA, and on CPUs that add beside their multipliers it costs little. Meant to run between
   v_ftz_begin and v_ftz_end. NaN in, NaN out everywhere. */
#ifndef FS_SIMD_DOUBLES_H
#define FS_SIMD_DOUBLES_H

#define FS_INF __builtin_inf()
#define FS_NAN __builtin_nan("")
#define FS_LN2 0.69314718055994530942
#define FS_LOG2E_DOUBLE 1.44269504088896340736
#define FS_PI_2 1.57079632679489661923
/* 1.5 * 2^52: adding it rounds to the nearest integer, half to even, which then stands in the low bits. */
#define FS_ROUND_DOUBLE 6755399441055744.0

/* The floats of the two halves. What rounds to less than the smallest normal float becomes a zero of its sign, and what
   rounds to that float is made it: Arm looks before it rounds whether a number is too small, x86 after. */
FS_INLINE vd vd_flushed(vd a)
{
    const vd size = vd_abs(a), normal = vd_max(vd_set1(0x1p-126), size);
    return vd_copysign(vd_select(vd_lt(size, vd_set1(0x1.ffffffp-127)), vd_set1(0.0), normal), a);
}
FS_INLINE vf v_rounded(vd low, vd high) { return v_join(vd_flushed(low), vd_flushed(high)); }

/* v_<name> of floats from vd_<name> of doubles. `round` is v_rounded, or v_join for a function that gives no number
   between 0 and the smallest normal float: it saves a tenth of a short function. */
#define FS_UNARY_BY_HALVES(name, round)                                                                                \
    FS_INLINE vf v_##name(vf x) { return round(vd_##name(vd_low(x)), vd_##name(vd_high(x))); }
#define FS_BINARY_BY_HALVES(name, round)                                                                               \
    FS_INLINE vf v_##name(vf x, vf y)                                                                                  \
    {                                                                                                                  \
        return round(vd_##name(vd_low(x), vd_low(y)), vd_##name(vd_high(x), vd_high(y)));                              \
    }

FS_INLINE vd vd_neg(vd a) { return vd_of_bits(vl_xor(vd_bits(a), vl_set1(INT64_MIN))); }

/* c[0] + c[1] x + ... + c[n - 1] x^(n - 1). The even and the odd powers side by side: half as long to wait. */
FS_INLINE vd vd_polynomial(vd x, const double *c, int n)
{
    const vd xx = vd_mul(x, x);
    vd last = vd_set1(c[n - 1]), other = vd_set1(c[n - 2]);
    for (int i = n - 3; i >= 0; i--) {
        vd next = vd_add(vd_mul(last, xx), vd_set1(c[i]));
        last = other;
        other = next;
    }
    return vd_add(vd_mul(last, x), other);
}
#define FS_POLYNOMIAL(x, c) vd_polynomial(x, c, (int)(sizeof(c) / sizeof *(c)))

/* 2^y as 2^n (1 + r p(r)), |r| <= 1/2, p having n coefficients c: 1 for y = 0, and powers of 2 are exact. Above 1000
   and below -1000, far beyond all floats, it stays what it is there: finite, not 0. */
FS_INLINE vd vd_exp2_by(vd y, const double *c, int n)
{
    y = vd_min(vd_set1(1000.0), vd_max(vd_set1(-1000.0), y));
    const vd sum = vd_add(y, vd_set1(FS_ROUND_DOUBLE + 1023.0));
    const vd r = vd_sub(y, vd_sub(sum, vd_set1(FS_ROUND_DOUBLE + 1023.0)));
    const vd scale = vd_of_bits(vl_shl(vd_bits(sum), 52));
    return vd_mul(scale, vd_add(vd_mul(r, vd_polynomial(r, c, n)), vd_set1(1.0)));
}
/* Relative error 4.7e-11. */
FS_INLINE vd vd_exp2(vd y)
{
    static const double c[] = {0.6931471807043741,    0.24022651066682685,    0.05550410366339862,
                               0.009618038114775355,  0.0013333934765321176,  0.00015466761824051422,
                               1.5196233363217212e-05};
    return vd_exp2_by(y, c, 7);
}
/* Relative error 3e-16, that of doubles: for what is subtracted from a number near it. */
FS_INLINE vd vd_exp2_fine(vd y)
{
    static const double c[] = {0.6931471805599492,     0.240226506959091,      0.05550410866448173,
                               0.009618129107983027,   0.001333355822581637,   0.00015403529994445814,
                               1.5252659417691467e-05, 1.3215653467427361e-06, 1.0208325018807516e-07,
                               7.038205716975569e-09};
    return vd_exp2_by(y, c, 10);
}

/* log2(1 + u), where w is 1 + u rounded, a normal positive number. Relative error 4e-16, near u = 0 too: with
   w = m 2^n, sqrt(1/2) <= m < sqrt(2), and s = (m - 1) / (m + 1), it is n + s p(s^2). */
FS_INLINE vd vd_log2_sum(vd w, vd u)
{
    static const double c[] = {2.885390081777927,   0.9617966939243245,  0.577078017250297,  0.41219840147311976,
                               0.32061642582860117, 0.2614431104663898,  0.2429289883803301};
    /* The exponent with its bias, of w / sqrt(1/2). */
    const vl to_one = vl_set1(INT64_C(0x3ff0000000000000) - INT64_C(0x3fe6a09e667f3bcd));
    const vl biased = vl_shru(vl_add(vd_bits(w), to_one), 52);
    const vd m = vd_of_bits(vl_sub(vd_bits(w), vl_shl(vl_sub(biased, vl_set1(1023)), 52)));
    const vd n = vd_sub(vd_of_bits(vl_or(biased, vl_set1(INT64_C(0x4330000000000000)))), vd_set1(0x1p52 + 1023.0));
    const vd f = vd_select(vd_eq(n, vd_set1(0.0)), u, vd_sub(m, vd_set1(1.0)));
    const vd s = vd_div(f, vd_add(f, vd_set1(2.0)));
    return vd_add(n, vd_mul(s, FS_POLYNOMIAL(vd_mul(s, s), c)));
}

/* y, but for what a log gives of 0, infinity, NaN and numbers below 0. */
FS_INLINE vd vd_log_ends(vd x, vd y)
{
    y = vd_select(vd_lt(x, vd_set1(FS_INF)), y, x);
    y = vd_select(vd_eq(x, vd_set1(0.0)), vd_set1(-FS_INF), y);
    return vd_select(vd_lt(x, vd_set1(0.0)), vd_set1(FS_NAN), y);
}
FS_INLINE vd vd_log2(vd x) { return vd_log_ends(x, vd_log2_sum(x, vd_sub(x, vd_set1(1.0)))); }
/* ln(1 + u) */
FS_INLINE vd vd_log1p(vd u)
{
    const vd w = vd_add(vd_set1(1.0), u);
    return vd_log_ends(w, vd_mul(vd_log2_sum(w, u), vd_set1(FS_LN2)));
}
#endif
