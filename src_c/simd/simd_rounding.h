/* Rounding to integers and the divisions that go with it, sign, and the next float. All exact, but for what
   v_floor_divide rounds as NumPy does. */
#ifndef FS_SIMD_ROUNDING_H
#define FS_SIMD_ROUNDING_H
#include "simd/simd_doubles.h"

/* From 2^23 on every float is an integer; below, adding it leaves no fraction bits. */
#define FS_ALL_INTEGERS 0x1p23f

/* a >= 0 to the nearest integer, half to even. */
FS_INLINE vf v_round_positive(vf a) { return v_sub(v_add(a, v_set1(FS_ALL_INTEGERS)), v_set1(FS_ALL_INTEGERS)); }
/* `rounded` with the sign of x, since -0.3 rounds to -0; x itself where it is an integer anyway, infinite or NaN. */
FS_INLINE vf v_if_fraction(vf x, vf rounded)
{
    return v_select(v_lt(v_abs(x), v_set1(FS_ALL_INTEGERS)), v_copysign(rounded, x), x);
}
FS_INLINE vf v_round(vf x) { return v_if_fraction(x, v_round_positive(v_abs(x))); }
FS_INLINE vf v_trunc(vf x)
{
    const vf a = v_abs(x), r = v_round_positive(a);
    return v_if_fraction(x, v_sub(r, v_select(v_gt(r, a), v_set1(1.0f), v_zero())));
}
FS_INLINE vf v_floor(vf x)
{
    const vf r = v_round(x);
    return v_sub(r, v_select(v_gt(r, x), v_set1(1.0f), v_zero())); /* -0 - 0 is -0 */
}
FS_INLINE vf v_ceil(vf x)
{
    const vf r = v_round(x);
    return v_if_fraction(x, v_add(r, v_select(v_lt(r, x), v_set1(1.0f), v_zero())));
}
/* -1, 0 or 1; +0 for -0, as NumPy. */
FS_INLINE vf v_sign(vf x)
{
    const vf one = v_set1(1.0f), y = v_select(v_eq(x, v_zero()), v_zero(), x);
    return v_select(v_gt(x, v_zero()), one, v_select(v_lt(x, v_zero()), v_neg(one), y));
}

/* 0 for x < 0, y for x = 0, 1 for x > 0. */
FS_INLINE vf v_heaviside(vf x, vf y)
{
    const vf one = v_set1(1.0f), at_zero = v_select(v_eq(x, v_zero()), y, x);
    return v_select(v_lt(x, v_zero()), v_zero(), v_select(v_gt(x, v_zero()), one, at_zero));
}

/* r - k b, exactly, for the k that puts it into [0, b). Both are at least 0; r is a float, b one times a power of 2,
   and r < 2^29 b, so that k has 29 bits and k b 53. */
FS_INLINE vd vd_remainder(vd r, vd b)
{
    const vd big = vd_set1(0x1p52);
    const vd k = vd_sub(vd_add(vd_div(r, b), big), big);
    const vd rest = vd_sub(r, vd_mul(k, b));
    return vd_select(vd_lt(rest, vd_set1(0.0)), vd_add(rest, b), rest);
}
/* Quotients of floats reach 2^254: ten steps of at most 28 bits. Out of line, as few are above 2^28. */
__attribute__((noinline, unused)) static vd vd_remainder_far(vd r, vd b)
{
    double scale = 0x1p252;
    for (int step = 0; step < 9; step++, scale *= 0x1p-28)
        r = vd_remainder(r, vd_mul(b, vd_set1(scale)));
    return r;
}
/* C's fmod, with the sign of x; NaN for y = 0 and for infinite x; x for infinite y. */
FS_INLINE vd vd_fmod(vd x, vd y)
{
    const vd b = vd_abs(y), inf = vd_set1(FS_INF);
    vd r = vd_abs(x);
    const vdm finite = vd_lt(r, inf);
    const vd if_b_is_infinite = vd_select(finite, r, vd_set1(FS_NAN));
    if (__builtin_expect(vd_any(vd_lt(vd_mul(b, vd_set1(0x1p28)), r)), 0))
        r = vd_remainder_far(r, b);
    return vd_copysign(vd_select(vd_eq(b, inf), if_b_is_infinite, vd_remainder(r, b)), x);
}
/* NumPy's remainder, with the sign of y, a zero too; of x = -1 and y = inf it is inf. */
FS_INLINE vd vd_mod(vd x, vd y)
{
    const vd zero = vd_set1(0.0), m = vd_fmod(x, y), one = vd_set1(1.0);
    const vdm same_sign = vd_eq(vd_copysign(one, m), vd_copysign(one, y));
    return vd_select(vd_eq(m, zero), vd_copysign(m, y), vd_select(same_sign, m, vd_add(m, y)));
}
FS_BINARY_BY_HALVES(fmod, v_rounded)
FS_BINARY_BY_HALVES(mod, v_rounded)

/* 1 where x / y lies below its whole part: m, the remainder, is not 0 and its sign is not that of y. */
FS_INLINE vd vd_one_if_unlike(vd m, vd y)
{
    const vd zero = vd_set1(0.0), one = vd_set1(1.0);
    const vdm same_sign = vd_eq(vd_copysign(one, m), vd_copysign(one, y));
    return vd_select(vd_eq(m, zero), zero, vd_select(same_sign, zero, one));
}
/* NumPy's floor_divide on float32, operation for operation: x less its remainder is divided and rounded. So 1 by 0.1f
   is 9, since 0.1f is above a tenth. An infinite x gives NaN, as in NumPy and in Keras on TensorFlow; y = 0 gives
   x / y. */
FS_INLINE vf v_floor_divide(vf x, vf y)
{
    const vd x0 = vd_low(x), x1 = vd_high(x), y0 = vd_low(y), y1 = vd_high(y);
    const vd m0 = vd_fmod(x0, y0), m1 = vd_fmod(x1, y1);
    const vf zero = v_zero(), plain = v_div(x, y);
    vf q = v_div(v_rounded(vd_sub(x0, m0), vd_sub(x1, m1)), y);
    q = v_sub(q, v_join(vd_one_if_unlike(m0, y0), vd_one_if_unlike(m1, y1)));
    const vf down = v_floor(q);
    const vf whole = v_add(down, v_select(v_gt(v_sub(q, down), v_set1(0.5f)), v_set1(1.0f), zero));
    q = v_select(v_eq(q, zero), v_copysign(zero, plain), whole);
    return v_select(v_eq(y, zero), plain, q);
}

/* The float after x on the way to y. Denormals count as zero: after 0 comes the smallest normal number, and after that,
   downwards, 0. */
FS_INLINE vf v_nextafter(vf x, vf y)
{
    const vf zero = v_zero(), smallest = v_set1(0x1p-126f);
    const vf larger = v_as_float(vi_add(v_as_int(x), vi_set1(1)));
    const vf smaller = v_as_float(vi_sub(v_as_int(x), vi_set1(1)));
    const vf upwards = v_select(v_gt(x, zero), larger, smaller), downwards = v_select(v_gt(x, zero), smaller, larger);
    vf next = v_select(v_gt(y, x), upwards, downwards);
    next = v_select(v_lt(v_abs(next), smallest), v_copysign(zero, next), next);
    next = v_select(v_eq(x, zero), v_copysign(smallest, y), next);
    next = v_select(v_eq(x, y), y, next);
    return v_select(v_isnan(y), y, v_select(v_isnan(x), x, next));
}
#endif
