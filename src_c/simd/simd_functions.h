/* All functions of one and of two numbers, over the words of simd_<isa>.h, which must be included first. X(NAME, name)
   names v_<name> of floats, or fs_int_<name> of int32. */
#ifndef FS_SIMD_FUNCTIONS_H
#define FS_SIMD_FUNCTIONS_H
#include "simd/simd_integers.h"
#include "simd/simd_math.h"
#include "simd/simd_powers.h"
#include "simd/simd_rounding.h"
#include "simd/simd_special.h"
#include "simd/simd_trigonometric.h"

/* Of simd_<isa>.h, simd_math.h, where the functions are shorter and round more often, and the files above. */
#define FS_UNARY_FUNCTIONS(X)                                                                                          \
    X(ABS, abs)                                                                                                        \
    X(NEGATIVE, neg)                                                                                                   \
    X(SQRT, sqrt)                                                                                                      \
    X(EXP, exp)                                                                                                        \
    X(EXPM1, expm1)                                                                                                    \
    X(LOG, log)                                                                                                        \
    X(LOG1P, log1p)                                                                                                    \
    X(TANH, tanh)                                                                                                      \
    X(SIGMOID, sigmoid)                                                                                                \
    X(SOFTPLUS, softplus)                                                                                              \
    X(ERF, erf)                                                                                                        \
    FS_UNARY_FUNCTIONS_HERE(X)

/* Exact: floor to sign, heaviside, fmod, nextafter, and mod but for the rounding of a sum. The others: at most 0.502
   ulp, but i0 0.514, erfinv 0.515, rsqrt 1.47; Keras on TensorFlow has 1.3 to 64 (rsqrt 1.94). Maxima against NumPy's
   and SciPy's float64 over 2 to 5 million arguments of each: uniform, of all exponents, of all bit patterns, and near
   what is critical (1, multiples of pi / 2). tests/native/test_simd_functions.py holds 0.52 and 1.5. */
#define FS_UNARY_FUNCTIONS_HERE(X)                                                                                     \
    X(SIN, sin)                                                                                                        \
    X(COS, cos)                                                                                                        \
    X(TAN, tan)                                                                                                        \
    X(SINC, sinc)                                                                                                      \
    X(ASIN, asin)                                                                                                      \
    X(ACOS, acos)                                                                                                      \
    X(ATAN, atan)                                                                                                      \
    X(SINH, sinh)                                                                                                      \
    X(COSH, cosh)                                                                                                      \
    X(ASINH, asinh)                                                                                                    \
    X(ACOSH, acosh)                                                                                                    \
    X(ATANH, atanh)                                                                                                    \
    X(EXP2, exp2)                                                                                                      \
    X(LOG2, log2)                                                                                                      \
    X(LOG10, log10)                                                                                                    \
    X(CBRT, cbrt)                                                                                                      \
    X(RSQRT, rsqrt)                                                                                                    \
    X(ERFC, erfc)                                                                                                      \
    X(ERFINV, erfinv)                                                                                                  \
    X(I0, i0)                                                                                                          \
    X(I1, i1)                                                                                                          \
    X(FLOOR, floor)                                                                                                    \
    X(CEIL, ceil)                                                                                                      \
    X(TRUNC, trunc)                                                                                                    \
    X(ROUND, round)                                                                                                    \
    X(SIGN, sign)
#define FS_BINARY_FUNCTIONS(X)                                                                                         \
    X(ATAN2, atan2)                                                                                                    \
    X(POWER, pow)                                                                                                      \
    X(FMOD, fmod)                                                                                                      \
    X(MOD, mod)                                                                                                        \
    X(FLOOR_DIVIDE, floor_divide)                                                                                      \
    X(LOGADDEXP, logaddexp)                                                                                            \
    X(LOGADDEXP2, logaddexp2)                                                                                          \
    X(HYPOT, hypot)                                                                                                    \
    X(HEAVISIDE, heaviside)                                                                                            \
    X(NEXTAFTER, nextafter)
#define FS_INT_UNARY_FUNCTIONS(X)                                                                                      \
    X(NEGATIVE, negative)                                                                                              \
    X(ABS, abs)                                                                                                        \
    X(SIGN, sign)                                                                                                      \
    X(BITWISE_NOT, bitwise_not)                                                                                        \
    X(SQUARE, square)
#define FS_INT_BINARY_FUNCTIONS(X)                                                                                     \
    X(ADD, add)                                                                                                        \
    X(SUBTRACT, subtract)                                                                                              \
    X(MULTIPLY, multiply)                                                                                              \
    X(MINIMUM, minimum)                                                                                                \
    X(MAXIMUM, maximum)                                                                                                \
    X(FLOOR_DIVIDE, floor_divide)                                                                                      \
    X(MOD, mod)                                                                                                        \
    X(FMOD, fmod)                                                                                                      \
    X(POWER, power)                                                                                                    \
    X(GCD, gcd)                                                                                                        \
    X(LCM, lcm)                                                                                                        \
    X(BITWISE_AND, bitwise_and)                                                                                        \
    X(BITWISE_OR, bitwise_or)                                                                                          \
    X(BITWISE_XOR, bitwise_xor)                                                                                        \
    X(LEFT_SHIFT, left_shift)                                                                                          \
    X(RIGHT_SHIFT, right_shift)
#endif
