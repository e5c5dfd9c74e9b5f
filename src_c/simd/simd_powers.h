/* Powers, logarithms, hyperbolic functions, erfc and its kin, in double as simd_doubles.h tells. */
#ifndef FS_SIMD_POWERS_H
#define FS_SIMD_POWERS_H
#include "simd/simd_doubles.h"
#include "simd/simd_rounding.h"

FS_INLINE vd vd_log10(vd x) { return vd_mul(vd_log2(x), vd_set1(0.30102999566398119521)); }
FS_INLINE vd vd_rsqrt(vd x) { return vd_div(vd_set1(1.0), vd_sqrt(x)); } /* rsqrt(-0) is -inf */
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

/* 1 - erf x, with all its digits up to 9.2, where it leaves the floats. e^(x^2) erfc(x) is a polynomial of degree 12 in
   (x - 3) / (x + 3) on [0, 10.1], relative error 3.2e-11. */
FS_INLINE vd vd_erfc(vd x)
{
    static const double c[] = {0.1790011511807779,     -0.32623356014464083,   0.24560380197602688,
                               -0.15011593109156662,   0.07166582828255028,    -0.0243925833477007,
                               0.004269219944234105,   0.0007083275688107446,  -0.0005973111341704794,
                               4.324383516392794e-05,  6.397501245822797e-05,  -9.514149925137777e-06,
                               -6.682623452618681e-06};
    const vd a = vd_min(vd_set1(10.1), vd_abs(x)), three = vd_set1(3.0);
    const vd p = FS_POLYNOMIAL(vd_div(vd_sub(a, three), vd_add(a, three)), c);
    const vd y = vd_mul(vd_exp(vd_neg(vd_mul(a, a))), p);
    return vd_select(vd_lt(x, vd_set1(0.0)), vd_sub(vd_set1(2.0), y), y);
}
/* x p, where p depends on w = -ln(1 - x^2): a polynomial of degree 11 in w - 5/2 up to w = 5 (relative error 4.1e-10),
   of degree 10 in sqrt(w) - 3 up to w = 16 (1.3e-9). w is at most 15.95 for a float below 1. */
FS_INLINE vd vd_erfinv(vd x)
{
    static const double middle[] = {1.501409351693517,      0.2466402757858021,     -0.004177324638793083,
                                    -0.0012527048800607232, 0.00021826355920819197, -4.998756725268796e-06,
                                    -3.426012486168206e-06, 4.796978466728279e-07,  1.6457222700288795e-08,
                                    -1.1023076058413392e-08, 4.3703537306289174e-10, 1.3285231256967893e-10};
    static const double ends[] = {2.832976800202806,     1.0016752345728992,      0.009445391211753954,
                                  -0.007642656599380127, 0.005686751011105393,    -0.003567977027179687,
                                  0.0014786725545526689, -0.0001177749680600252,  -0.00028308615024383847,
                                  0.00015876584967545993, -2.6318325571714276e-05};
    const vd a = vd_abs(x), z = vd_mul(x, x), one = vd_set1(1.0);
    const vd w = vd_mul(vd_log2_sum(vd_sub(one, z), vd_neg(z)), vd_set1(-FS_LN2));
    const vd in_middle = FS_POLYNOMIAL(vd_sub(w, vd_set1(2.5)), middle);
    const vd at_ends = FS_POLYNOMIAL(vd_sub(vd_sqrt(w), vd_set1(3.0)), ends);
    const vd y = vd_mul(x, vd_select(vd_lt(w, vd_set1(5.0)), in_middle, at_ends));
    const vd infinite = vd_select(vd_eq(a, one), vd_copysign(vd_set1(FS_INF), x), vd_set1(FS_NAN));
    return vd_select(vd_lt(a, one), y, infinite);
}

/* ln(e^x + e^y). Where the sum is near 1, its log is near 0, and off by 1e-12 of the greater one's distance to it. */
FS_INLINE vd vd_logaddexp(vd x, vd y)
{
    const vd distance = vd_abs(vd_sub(x, y)), e = vd_exp(vd_neg(distance));
    const vd sum = vd_add(vd_max(x, y), vd_mul(vd_log2_sum(vd_add(vd_set1(1.0), e), e), vd_set1(FS_LN2)));
    /* inf - inf: two equal infinities, which are the result. */
    return vd_select(vd_eq(distance, distance), sum, vd_add(x, y));
}
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

FS_UNARY_BY_HALVES(exp2)
FS_UNARY_BY_HALVES(log2)
FS_UNARY_BY_HALVES(log10)
FS_UNARY_BY_HALVES(rsqrt)
FS_UNARY_BY_HALVES(cbrt)
FS_UNARY_BY_HALVES(sinh)
FS_UNARY_BY_HALVES(cosh)
FS_UNARY_BY_HALVES(asinh)
FS_UNARY_BY_HALVES(acosh)
FS_UNARY_BY_HALVES(atanh)
FS_UNARY_BY_HALVES(erfc)
FS_UNARY_BY_HALVES(erfinv)
FS_BINARY_BY_HALVES(logaddexp)
FS_BINARY_BY_HALVES(hypot)
#endif
