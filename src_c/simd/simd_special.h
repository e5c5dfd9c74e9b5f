/* erfc, erfinv, i0 and i1, in double as simd_doubles.h tells. */
#ifndef FS_SIMD_SPECIAL_H
#define FS_SIMD_SPECIAL_H
#include "simd/simd_powers.h"

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

/* The modified Bessel function of order 0: a polynomial of degree 10 in x^2 up to 8 (relative error 2.8e-10), above,
   e^x / sqrt(x) by one of degree 6 in 8 / x (7.7e-10). It leaves the floats at 91.9. */
FS_INLINE vd vd_i0(vd x)
{
    static const double low[] = {1.0000000002809846,     0.24999999796567365,    0.015625002162806403,
                                 0.0004340269613934346,  6.781830766690291e-06,  6.780234374668664e-08,
                                 4.718002790640798e-10,  2.37212692841206e-12,   1.0069754587722286e-14,
                                 1.9911729087640584e-17, 1.3566976343039345e-19};
    static const double high[] = {0.39894228728151254,   0.0062332989456142995,   0.0004398507117874638,
                                  5.0528878427191644e-05, 2.4986088344899312e-05, -1.2535068129697441e-05,
                                  7.925203413516389e-06};
    const vd a = vd_min(vd_set1(200.0), vd_abs(x));
    const vd outer = vd_mul(vd_div(vd_exp(a), vd_sqrt(a)), FS_POLYNOMIAL(vd_div(vd_set1(8.0), a), high));
    return vd_select(vd_lt(vd_set1(8.0), a), outer, FS_POLYNOMIAL(vd_mul(a, a), low));
}

/* That of order 1, which is the derivative of the one of order 0: x by a polynomial of degree 10 in x^2 up to 8
   (relative error 6.0e-11), above, e^x / sqrt(x) by one of degree 7 in 8 / x (9.5e-11). */
FS_INLINE vd vd_i1(vd x)
{
    static const double low[] = {0.5000000000299977,     0.06249999982291556,    0.0026041668269051895,
                                 5.4253418986424715e-05, 6.78177038695579e-07,   5.650618606735318e-09,
                                 3.3682254016621745e-11, 1.4871177134838682e-13, 5.525323518508672e-16,
                                 1.0528413945870547e-18, 5.9673001032448594e-21};
    static const double high[] = {0.39894228032592716,     -0.018700424537840335,   -0.0007303519735114251,
                                  -8.100426079122934e-05,  -9.687484723100666e-06,  -1.2345057357815857e-05,
                                  8.459690173538937e-06,   -4.660127604065764e-06};
    const vd a = vd_min(vd_set1(200.0), vd_abs(x));
    const vd outer = vd_mul(vd_div(vd_exp(a), vd_sqrt(a)), FS_POLYNOMIAL(vd_div(vd_set1(8.0), a), high));
    const vd inner = vd_mul(a, FS_POLYNOMIAL(vd_mul(a, a), low));
    return vd_copysign(vd_select(vd_lt(vd_set1(8.0), a), outer, inner), x);
}

FS_UNARY_BY_HALVES(erfc, v_rounded)
FS_UNARY_BY_HALVES(erfinv, v_rounded)
FS_UNARY_BY_HALVES(i0, v_join)
FS_UNARY_BY_HALVES(i1, v_rounded)
#endif
