/* sin, cos, tan and their inverses, in double as simd_doubles.h tells. */
#ifndef FS_SIMD_TRIGONOMETRIC_H
#define FS_SIMD_TRIGONOMETRIC_H
#include "simd/simd_doubles.h"

/* |x| up to here is reduced by pi / 2 in two parts, in vectors: n has 20 bits, the first part 33, so n times it is
   exact, and the rest is off by 2^-66. No float is nearer to a multiple of pi / 2 than 2^-30. */
#define FS_REDUCED_IN_VECTORS 0x1p20
#define FS_PI_2_HI 1.5707963267341256
#define FS_PI_2_LO 6.077100506506192e-11

/* r and n of one finite x, |x| >= FS_REDUCED_IN_VECTORS, with x = r + n pi / 2 but for a multiple of 2 pi. x is a
   float, m 2^e with an integer m of 24 bits; of x / (2 pi) only the fraction counts, so of 1 / (2 pi) the 96 bits from
   that one on which, times m 2^e, is a half. What is cut off is below 2^-72. */
FS_INLINE void fs_reduce_large(double x, double *r, double *n)
{
    /* 2 / pi, after 64 zeros. */
    static const uint64_t two_over_pi[] = {0,
                                           UINT64_C(0xa2f9836e4e441529),
                                           UINT64_C(0xfc2757d1f534ddc0),
                                           UINT64_C(0xdb6295993c439041),
                                           UINT64_C(0xfe5163abdebbc561),
                                           UINT64_C(0xb7246e3a424dd2e0)};
    union {
        double value;
        uint64_t bits;
    } as = {.value = x};
    const uint64_t m = UINT64_C(1) << 23 | (as.bits >> 29 & 0x7fffff);
    const int at = (int)(as.bits >> 52 & 0x7ff) - 1046 - 2 + 64, word = at / 64, shift = at % 64;
    const uint64_t *p = two_over_pi + word;
    const uint64_t first = shift ? p[0] << shift | p[1] >> (64 - shift) : p[0];
    const uint64_t second = shift ? p[1] << shift | p[2] >> (64 - shift) : p[1];
    const uint64_t turn = m * first + (m * (second >> 32) >> 32); /* x / (2 pi) without whole turns, in 2^-64 */
    const uint64_t quarter = (turn + (UINT64_C(1) << 61)) >> 62;
    const double rest = (double)(int64_t)(turn - (quarter << 62)) * 0x1.921fb54442d18p-62;
    const double sign = as.bits >> 63 ? -1.0 : 1.0;
    *r = sign * rest;
    *n = sign * (double)quarter;
}
/* Lane by lane, and out of line: no such number is met where angles are. */
__attribute__((noinline, unused)) static void fs_reduce_lanes(double *x, double *n)
{
    for (int i = 0; i < VLEN / 2; i++) {
        if (__builtin_fabs(x[i]) < FS_INF) {
            if (__builtin_fabs(x[i]) > FS_REDUCED_IN_VECTORS)
                fs_reduce_large(x[i], x + i, n + i);
        } else {
            x[i] = FS_NAN;
            n[i] = 0.0;
        }
    }
}

/* r in [-pi / 4, pi / 4] with x = r + n pi / 2; the low bits of *quarter are those of n. */
FS_INLINE vd vd_reduced(vd x, vl *quarter)
{
    vd sum = vd_add(vd_mul(x, vd_set1(0x1.45f306dc9c883p-1)), vd_set1(FS_ROUND_DOUBLE));
    vd n = vd_sub(sum, vd_set1(FS_ROUND_DOUBLE));
    vd r = vd_sub(vd_sub(x, vd_mul(n, vd_set1(FS_PI_2_HI))), vd_mul(n, vd_set1(FS_PI_2_LO)));
    const vdm large = vd_lt(vd_set1(FS_REDUCED_IN_VECTORS), vd_abs(x));
    if (__builtin_expect(vd_any(large), 0)) {
        double lanes[VLEN / 2], numbers[VLEN / 2];
        vd_store(lanes, x);
        vd_store(numbers, n);
        fs_reduce_lanes(lanes, numbers);
        r = vd_select(large, vd_load(lanes), r);
        sum = vd_select(large, vd_add(vd_load(numbers), vd_set1(FS_ROUND_DOUBLE)), sum);
    }
    *quarter = vd_bits(sum);
    return r;
}
/* On [-pi / 4, pi / 4]: relative errors 5.2e-12 and 6.4e-11. */
FS_INLINE vd vd_sin_core(vd r)
{
    static const double c[] = {-0.1666666664078606, 0.008333329303589784, -0.0001983931187125273,
                               2.718117850965981e-06};
    const vd z = vd_mul(r, r);
    return vd_mul(r, vd_add(vd_mul(z, FS_POLYNOMIAL(z, c)), vd_set1(1.0)));
}
FS_INLINE vd vd_cos_core(vd r)
{
    static const double c[] = {-0.499999996943801, 0.041666620345192876, -0.001388668125608762,
                               2.4383529578616786e-05};
    const vd z = vd_mul(r, r);
    return vd_add(vd_mul(z, FS_POLYNOMIAL(z, c)), vd_set1(1.0));
}
/* Where the quarter is odd. Its last bit, moved to bit 62, is the double 2. */
FS_INLINE vdm vd_odd(vl quarter)
{
    return vd_lt(vd_set1(0.0), vd_of_bits(vl_shl(vl_and(quarter, vl_set1(1)), 62)));
}
/* sin(r + quarter pi / 2) */
FS_INLINE vd vd_sin_of(vd r, vl quarter)
{
    const vd y = vd_select(vd_odd(quarter), vd_cos_core(r), vd_sin_core(r));
    return vd_of_bits(vl_xor(vd_bits(y), vl_shl(vl_and(quarter, vl_set1(2)), 62)));
}

FS_INLINE vd vd_sin(vd x)
{
    vl quarter;
    const vd r = vd_reduced(x, &quarter);
    return vd_sin_of(r, quarter);
}
FS_INLINE vd vd_cos(vd x)
{
    vl quarter;
    const vd r = vd_reduced(x, &quarter);
    return vd_sin_of(r, vl_add(quarter, vl_set1(1)));
}
FS_INLINE vd vd_tan(vd x)
{
    vl quarter;
    const vd r = vd_reduced(x, &quarter), s = vd_sin_core(r), c = vd_cos_core(r);
    const vdm odd = vd_odd(quarter);
    return vd_div(vd_select(odd, vd_neg(c), s), vd_select(odd, s, c));
}

/* sin(pi x) / (pi x), of x itself: exactly 0 at integers but 0, where sin of the rounded product is not. */
FS_INLINE vd vd_sinc(vd x)
{
    const vd zero = vd_set1(0.0), round = vd_set1(FS_ROUND_DOUBLE), pi = vd_set1(2.0 * FS_PI_2);
    /* From 2^24 on every float is an even integer, as 0 is. x - x is NaN for infinities. */
    const vd near = vd_select(vd_lt(vd_abs(x), vd_set1(0x1p24)), x, vd_sub(x, x));
    const vd sum = vd_add(near, round), r = vd_sub(near, vd_sub(sum, round));
    /* |pi r| reaches pi / 2, where the sine is the cosine of what is missing. */
    const vd a = vd_mul(pi, vd_abs(r));
    const vdm above = vd_lt(vd_set1(0.5 * FS_PI_2), a);
    const vd sine = vd_select(above, vd_cos_core(vd_sub(vd_set1(FS_PI_2), a)), vd_sin_core(a));
    /* The last bit of the integer becomes the sign. */
    const vd turned = vd_of_bits(vl_xor(vd_bits(vd_copysign(sine, r)), vl_shl(vd_bits(sum), 63)));
    return vd_select(vd_eq(x, zero), vd_set1(1.0), vd_div(turned, vd_mul(pi, x)));
}

/* asin on [0, 1/2], or, above, asin(sqrt((1 - a) / 2)), which is half of acos(a). Relative error 9.8e-13. */
FS_INLINE vd vd_asin_core(vd a, vdm above)
{
    static const double c[] = {0.16666666627490145, 0.07500004964335867,  0.0446407144309602,   0.030426406733398127,
                               0.02186680793516979, 0.020640797874881826, 0.001993852800758911, 0.032895980199608606};
    const vd z = vd_select(above, vd_mul(vd_sub(vd_set1(1.0), a), vd_set1(0.5)), vd_mul(a, a));
    const vd s = vd_select(above, vd_sqrt(z), a);
    return vd_mul(s, vd_add(vd_mul(z, FS_POLYNOMIAL(z, c)), vd_set1(1.0)));
}
/* NaN outside [-1, 1]: the root's. */
FS_INLINE vd vd_asin(vd x)
{
    const vd a = vd_abs(x);
    const vdm above = vd_lt(vd_set1(0.5), a);
    const vd p = vd_asin_core(a, above);
    return vd_copysign(vd_select(above, vd_sub(vd_set1(FS_PI_2), vd_add(p, p)), p), x);
}
FS_INLINE vd vd_acos(vd x)
{
    const vd a = vd_abs(x);
    const vdm above = vd_lt(vd_set1(0.5), a);
    const vd p = vd_asin_core(a, above), twice = vd_add(p, p);
    const vd outer = vd_select(vd_lt(x, vd_set1(0.0)), vd_sub(vd_set1(2.0 * FS_PI_2), twice), twice);
    return vd_select(above, outer, vd_sub(vd_set1(FS_PI_2), vd_copysign(p, x)));
}

/* The angle of (x, y), both at least 0, in [0, pi / 2]; what it gives for NaN is not defined. atan t on
   |t| <= tan(pi / 8), relative error 7.9e-13; above, t is (y - x) / (y + x), and pi / 4 more. Infinities become 2^400,
   which is as far from all floats. */
FS_INLINE vd vd_angle(vd y, vd x)
{
    static const double c[] = {-0.3333333329573046,  0.19999994326890316, -0.14285423646380488, 0.1110400436762303,
                               -0.08996845142513558, 0.06991241919680888, -0.037924776098171506};
    y = vd_min(vd_set1(0x1p400), y);
    x = vd_min(vd_set1(0x1p400), x);
    const vd low = vd_min(y, x), high = vd_max(y, x);
    const vdm above = vd_lt(vd_mul(high, vd_set1(0.41421356237309503)), low);
    const vd top = vd_select(above, vd_sub(low, high), low), sum = vd_select(above, vd_add(low, high), high);
    const vd t = vd_div(top, vd_select(vd_eq(sum, vd_set1(0.0)), vd_set1(1.0), sum)), z = vd_mul(t, t);
    vd angle = vd_mul(t, vd_add(vd_mul(z, FS_POLYNOMIAL(z, c)), vd_set1(1.0)));
    angle = vd_select(above, vd_add(vd_set1(0.5 * FS_PI_2), angle), angle);
    return vd_select(vd_lt(x, y), vd_sub(vd_set1(FS_PI_2), angle), angle);
}
FS_INLINE vd vd_atan(vd x)
{
    return vd_copysign(vd_select(vd_eq(x, x), vd_angle(vd_abs(x), vd_set1(1.0)), x), x);
}
/* As C99: atan2(0, -0) is pi, and atan2(inf, inf) pi / 4. */
FS_INLINE vd vd_atan2(vd y, vd x)
{
    vd angle = vd_angle(vd_abs(y), vd_abs(x));
    const vdm left = vd_lt(vd_copysign(vd_set1(1.0), x), vd_set1(0.0));
    angle = vd_copysign(vd_select(left, vd_sub(vd_set1(2.0 * FS_PI_2), angle), angle), y);
    return vd_select(vd_eq(x, x), vd_select(vd_eq(y, y), angle, y), x);
}

FS_UNARY_BY_HALVES(sin, v_join)
FS_UNARY_BY_HALVES(cos, v_join)
FS_UNARY_BY_HALVES(tan, v_join)
FS_UNARY_BY_HALVES(sinc, v_rounded)
FS_UNARY_BY_HALVES(asin, v_join)
FS_UNARY_BY_HALVES(acos, v_join)
FS_UNARY_BY_HALVES(atan, v_join)
FS_BINARY_BY_HALVES(atan2, v_rounded)
#endif
