/* Powers, logarithms and hyperbolic functions, in double as simd_doubles.h tells. */
#ifndef FS_SIMD_POWERS_H
#define FS_SIMD_POWERS_H
#include "simd/simd_doubles.h"
#include "simd/simd_rounding.h"

FS_INLINE vd vd_log10(vd x) { return vd_mul(vd_log2(x), vd_set1(0.30102999566398119521)); }
/* 1.5 ulp: two roundings, in floats. rsqrt(-0) is -inf. */
FS_INLINE vf v_rsqrt(vf x) { return v_div(v_set1(1.0f), v_sqrt(x)); }
FS_INLINE vd vd_exp(vd x) { return vd_exp2(vd_mul(x, vd_set1(FS_LOG2E_DOUBLE))); }
FS_INLINE vd vd_cbrt(vd x)
{
    return vd_copysign(vd_exp2(vd_mul(vd_log2(vd_abs(x)), vd_set1(1.0 / 3.0))), x);
}

/* sinh x = x (1 + z p(z)) with z = x^2 on |x| <= 1, relative error 5.2e-11. */
FS_INLINE vd vd_sinh(vd x)
{
    static const double c[] = {0.16666666497566265, 0.008333350057754459, 0.0001983615986167917,
                               2.8169507521396486e-06};
    const vd a = vd_abs(x), z = vd_mul(x, x), e = vd_exp(a);
    const vd outer = vd_mul(vd_set1(0.5), vd_sub(e, vd_div(vd_set1(1.0), e)));
    const vd inner = vd_mul(a, vd_add(vd_mul(z, FS_POLYNOMIAL(z, c)), vd_set1(1.0)));
    return vd_copysign(vd_select(vd_lt(a, vd_set1(1.0)), inner, outer), x);
}
FS_INLINE vd vd_cosh(vd x)
{
    const vd e = vd_exp(vd_abs(x));
    return vd_mul(vd_set1(0.5), vd_add(e, vd_div(vd_set1(1.0), e)));
}
/* ln(a + sqrt(a^2 + 1)), where a + sqrt(...) - 1 is written as a sum of positive terms. */
FS_INLINE vd vd_asinh(vd x)
{
    const vd a = vd_abs(x), z = vd_mul(a, a), one = vd_set1(1.0);
    const vd u = vd_add(a, vd_div(z, vd_add(one, vd_sqrt(vd_add(one, z)))));
    return vd_copysign(vd_select(vd_lt(a, vd_set1(FS_INF)), vd_log1p(u), a), x);
}
FS_INLINE vd vd_acosh(vd x)
{
    const vd u = vd_sub(x, vd_set1(1.0));
    const vd y = vd_log1p(vd_add(u, vd_sqrt(vd_mul(u, vd_add(u, vd_set1(2.0))))));
    return vd_select(vd_le(vd_set1(1.0), x), y, vd_set1(FS_NAN));
}
FS_INLINE vd vd_atanh(vd x)
{
    const vd a = vd_abs(x);
    const vd y = vd_log1p(vd_div(vd_add(a, a), vd_sub(vd_set1(1.0), a)));
    return vd_copysign(vd_mul(vd_set1(0.5), y), x);
}

/* log2(2^x + 2^y) by `scale` = 1, ln(e^x + e^y) by ln 2. A result near 0 is the small difference of two numbers below
   1: it is off by 3e-16 beside its rounding, by 6e-8 where all is float32. */
FS_INLINE vd vd_log_of_sum(vd x, vd y, double scale)
{
    const vd distance = vd_abs(vd_sub(x, y)), e = vd_exp2_fine(vd_mul(distance, vd_set1(-1.0 / scale)));
    const vd more = vd_mul(vd_log2_sum(vd_add(vd_set1(1.0), e), e), vd_set1(scale));
    /* inf - inf: two equal infinities, which are the result. */
    return vd_select(vd_eq(distance, distance), vd_add(vd_max(x, y), more), vd_add(x, y));
}
FS_INLINE vd vd_logaddexp(vd x, vd y) { return vd_log_of_sum(x, y, FS_LN2); }
FS_INLINE vd vd_logaddexp2(vd x, vd y) { return vd_log_of_sum(x, y, 1.0); }
/* inf where either is infinite, beside NaN too, as C99 and NumPy have it. */
FS_INLINE vd vd_hypot(vd x, vd y)
{
    const vd a = vd_abs(x), b = vd_abs(y), inf = vd_set1(FS_INF);
    const vd root = vd_sqrt(vd_add(vd_mul(x, x), vd_mul(y, y)));
    return vd_select(vd_eq(a, inf), inf, vd_select(vd_eq(b, inf), inf, root));
}

/* |x|^y = 2^(y log2 |x|), for what is no special case below. */
FS_INLINE vd vd_power(vd x, vd y) { return vd_exp2(vd_mul(y, vd_log2(vd_abs(x)))); }

/* All special cases of C99's pow: 1 for y = 0 and for x = 1, beside NaN too, and for x = -1 with an infinite y; NaN for
   a finite x < 0 and a y that is no integer; the sign of x, -0 included, where y is an odd integer. */
FS_INLINE vf v_pow(vf x, vf y)
{
    const vf one = v_set1(1.0f), zero = v_zero(), inf = v_set1(__builtin_inff());
    const vf power = v_rounded(vd_power(vd_low(x), vd_low(y)), vd_power(vd_high(x), vd_high(y)));
    /* The half of an odd integer is none. Above 2^23 every float is an integer. */
    const vf half = v_mul(y, v_set1(0.5f));
    const vf if_integer = v_select(v_eq(v_trunc(half), half), power, v_copysign(power, x));
    const vf if_not = v_select(v_lt(x, zero), v_select(v_lt(v_neg(inf), x), v_set1(__builtin_nanf("")), power), power);
    vf result = v_select(v_eq(v_trunc(y), y), if_integer, if_not);
    const vf of_ends = v_select(v_eq(v_abs(x), one), one, result);
    result = v_select(v_eq(v_abs(y), inf), of_ends, result);
    result = v_select(v_eq(x, one), one, result);
    return v_select(v_eq(y, zero), one, result);
}

FS_UNARY_BY_HALVES(exp2, v_rounded)
FS_UNARY_BY_HALVES(log2, v_join)
FS_UNARY_BY_HALVES(log10, v_join)
FS_UNARY_BY_HALVES(cbrt, v_join)
FS_UNARY_BY_HALVES(sinh, v_join)
FS_UNARY_BY_HALVES(cosh, v_join)
FS_UNARY_BY_HALVES(asinh, v_rounded)
FS_UNARY_BY_HALVES(acosh, v_join)
FS_UNARY_BY_HALVES(atanh, v_rounded)
FS_BINARY_BY_HALVES(logaddexp, v_join)
FS_BINARY_BY_HALVES(logaddexp2, v_join)
FS_BINARY_BY_HALVES(hypot, v_join)
#endif
