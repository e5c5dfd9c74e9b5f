/* What an instruction of a chain may be (kernels/chain_steps_inl.h): FS_CHAIN_<operation>, and the name that Python
   knows it by. A register holds 4-byte elements: floats, or int32; bools are int32 of 0 and 1. */
#ifndef FS_CHAIN_KINDS_H
#define FS_CHAIN_KINDS_H

/* y = f(a), floats: the third entry is the word of simd/. */
#define FS_CHAIN_FLOAT1(X)                                                                                             \
    X(FS_CHAIN_NEGATIVE, negative, v_neg)                                                                              \
    X(FS_CHAIN_ABS, abs, v_abs)                                                                                        \
    X(FS_CHAIN_SQRT, sqrt, v_sqrt)                                                                                     \
    X(FS_CHAIN_SQUARE, square, v_chain_square)                                                                         \
    X(FS_CHAIN_RECIPROCAL, reciprocal, v_chain_reciprocal)                                                             \
    X(FS_CHAIN_RSQRT, rsqrt, v_rsqrt)                                                                                  \
    X(FS_CHAIN_EXP, exp, v_exp)                                                                                        \
    X(FS_CHAIN_EXPM1, expm1, v_expm1)                                                                                  \
    X(FS_CHAIN_LOG, log, v_log)                                                                                        \
    X(FS_CHAIN_LOG1P, log1p, v_log1p)                                                                                  \
    X(FS_CHAIN_TANH, tanh, v_tanh)                                                                                     \
    X(FS_CHAIN_SIGMOID, sigmoid, v_sigmoid)                                                                            \
    X(FS_CHAIN_ERF, erf, v_erf)                                                                                        \
    X(FS_CHAIN_SOFTPLUS, softplus, v_softplus)

/* y = f(a, b), floats. */
#define FS_CHAIN_FLOAT2(X)                                                                                             \
    X(FS_CHAIN_ADD, add, v_add)                                                                                        \
    X(FS_CHAIN_SUBTRACT, subtract, v_sub)                                                                              \
    X(FS_CHAIN_MULTIPLY, multiply, v_mul)                                                                              \
    X(FS_CHAIN_DIVIDE, divide, v_div)                                                                                  \
    X(FS_CHAIN_MAXIMUM, maximum, v_chain_maximum)                                                                      \
    X(FS_CHAIN_MINIMUM, minimum, v_chain_minimum)

/* Those that are computed in double, or are long otherwise (simd/simd_functions.h): y = f(a), and y = f(a, b). */
#define FS_CHAIN_FUNCTION1(X)                                                                                          \
    X(FS_CHAIN_SIN, sin, v_sin)                                                                                        \
    X(FS_CHAIN_COS, cos, v_cos)                                                                                        \
    X(FS_CHAIN_TAN, tan, v_tan)                                                                                        \
    X(FS_CHAIN_SINC, sinc, v_sinc)                                                                                     \
    X(FS_CHAIN_ARCSIN, arcsin, v_asin)                                                                                 \
    X(FS_CHAIN_ARCCOS, arccos, v_acos)                                                                                 \
    X(FS_CHAIN_ARCTAN, arctan, v_atan)                                                                                 \
    X(FS_CHAIN_SINH, sinh, v_sinh)                                                                                     \
    X(FS_CHAIN_COSH, cosh, v_cosh)                                                                                     \
    X(FS_CHAIN_ARCSINH, arcsinh, v_asinh)                                                                              \
    X(FS_CHAIN_ARCCOSH, arccosh, v_acosh)                                                                              \
    X(FS_CHAIN_ARCTANH, arctanh, v_atanh)                                                                              \
    X(FS_CHAIN_EXP2, exp2, v_exp2)                                                                                     \
    X(FS_CHAIN_LOG2, log2, v_log2)                                                                                     \
    X(FS_CHAIN_LOG10, log10, v_log10)                                                                                  \
    X(FS_CHAIN_CBRT, cbrt, v_cbrt)                                                                                     \
    X(FS_CHAIN_ERFC, erfc, v_erfc)                                                                                     \
    X(FS_CHAIN_ERFINV, erfinv, v_erfinv)                                                                               \
    X(FS_CHAIN_I0, i0, v_i0)                                                                                           \
    X(FS_CHAIN_I1, i1, v_i1)                                                                                           \
    X(FS_CHAIN_FLOOR, floor, v_floor)                                                                                  \
    X(FS_CHAIN_CEIL, ceil, v_ceil)                                                                                     \
    X(FS_CHAIN_TRUNC, trunc, v_trunc)                                                                                  \
    X(FS_CHAIN_ROUND, round, v_round)                                                                                  \
    X(FS_CHAIN_SIGN, sign, v_sign)

#define FS_CHAIN_FUNCTION2(X)                                                                                          \
    X(FS_CHAIN_ARCTAN2, arctan2, v_atan2)                                                                              \
    X(FS_CHAIN_POWER, power, v_pow)                                                                                    \
    X(FS_CHAIN_FMOD, fmod, v_fmod)                                                                                     \
    X(FS_CHAIN_MOD, mod, v_mod)                                                                                        \
    X(FS_CHAIN_LOGADDEXP, logaddexp, v_logaddexp)                                                                      \
    X(FS_CHAIN_LOGADDEXP2, logaddexp2, v_logaddexp2)                                                                   \
    X(FS_CHAIN_HYPOT, hypot, v_hypot)                                                                                  \
    X(FS_CHAIN_NEXTAFTER, nextafter, v_nextafter)

/* y = whether it holds of a and b, floats. */
#define FS_CHAIN_COMPARE(X)                                                                                            \
    X(FS_CHAIN_EQUAL, equal, v_eq)                                                                                     \
    X(FS_CHAIN_LESS, less, v_lt)                                                                                       \
    X(FS_CHAIN_LESS_EQUAL, less_equal, v_le)

/* int32, and bools: y = an expression of a[i], and of b[i]; the functions are those of simd/simd_integers.h. */
#define FS_CHAIN_INT1(X)                                                                                               \
    X(FS_CHAIN_NEGATIVE_I32, negative_int32, fs_int_negative(a[i]))                                                    \
    X(FS_CHAIN_ABS_I32, abs_int32, fs_int_abs(a[i]))                                                                   \
    X(FS_CHAIN_SIGN_I32, sign_int32, fs_int_sign(a[i]))                                                                \
    X(FS_CHAIN_BITWISE_NOT, bitwise_not, fs_int_bitwise_not(a[i]))

#define FS_CHAIN_INT2(X)                                                                                               \
    X(FS_CHAIN_ADD_I32, add_int32, fs_int_add(a[i], b[i]))                                                             \
    X(FS_CHAIN_SUBTRACT_I32, subtract_int32, fs_int_subtract(a[i], b[i]))                                              \
    X(FS_CHAIN_MULTIPLY_I32, multiply_int32, fs_int_multiply(a[i], b[i]))                                              \
    X(FS_CHAIN_MAXIMUM_I32, maximum_int32, fs_int_maximum(a[i], b[i]))                                                 \
    X(FS_CHAIN_MINIMUM_I32, minimum_int32, fs_int_minimum(a[i], b[i]))                                                 \
    X(FS_CHAIN_FLOOR_DIVIDE_I32, floor_divide_int32, fs_int_floor_divide(a[i], b[i]))                                  \
    X(FS_CHAIN_MOD_I32, mod_int32, fs_int_mod(a[i], b[i]))                                                             \
    X(FS_CHAIN_FMOD_I32, fmod_int32, fs_int_fmod(a[i], b[i]))                                                          \
    X(FS_CHAIN_POWER_I32, power_int32, fs_int_power(a[i], b[i]))                                                       \
    X(FS_CHAIN_GCD, gcd, fs_int_gcd(a[i], b[i]))                                                                       \
    X(FS_CHAIN_LCM, lcm, fs_int_lcm(a[i], b[i]))                                                                       \
    X(FS_CHAIN_EQUAL_I32, equal_int32, a[i] == b[i])                                                                   \
    X(FS_CHAIN_LESS_I32, less_int32, a[i] < b[i])                                                                      \
    X(FS_CHAIN_LESS_EQUAL_I32, less_equal_int32, a[i] <= b[i])                                                         \
    X(FS_CHAIN_BITWISE_AND, bitwise_and, fs_int_bitwise_and(a[i], b[i]))                                               \
    X(FS_CHAIN_BITWISE_OR, bitwise_or, fs_int_bitwise_or(a[i], b[i]))                                                  \
    X(FS_CHAIN_BITWISE_XOR, bitwise_xor, fs_int_bitwise_xor(a[i], b[i]))                                               \
    X(FS_CHAIN_LEFT_SHIFT, left_shift, fs_int_left_shift(a[i], b[i]))                                                  \
    X(FS_CHAIN_RIGHT_SHIFT, right_shift, fs_int_right_shift(a[i], b[i]))

/* What is neither: kernels/chain_steps_inl.h has a case for each. */
#define FS_CHAIN_OTHER(X)                                                                                              \
    X(FS_CHAIN_COPY, copy)                 /* y = a */                                                                 \
    X(FS_CHAIN_SELECT, select)             /* y = a ? b : c */                                                         \
    X(FS_CHAIN_LOGICAL_NOT, logical_not)   /* y = a == 0, int32 */                                                     \
    X(FS_CHAIN_ISNAN, isnan)               /* of floats */                                                             \
    X(FS_CHAIN_TO_FLOAT, int32_to_float32) /* the nearest float */                                                     \
    X(FS_CHAIN_TO_INT, float32_to_int32)   /* as the step "cast" */                                                    \
    X(FS_CHAIN_ACTIVATION, activation)     /* b: its kind, c: the first of its three numbers */

#define FS_CHAIN_KINDS(X)                                                                                              \
    FS_CHAIN_FLOAT1(X) FS_CHAIN_FLOAT2(X) FS_CHAIN_FUNCTION1(X) FS_CHAIN_FUNCTION2(X) FS_CHAIN_COMPARE(X)             \
    FS_CHAIN_INT1(X) FS_CHAIN_INT2(X) FS_CHAIN_OTHER(X)

/* What a reduction makes of the elements that it takes together. The first ones are of floats. */
#define FS_REDUCE_KINDS(X)                                                                                             \
    X(FS_REDUCED_SUM, sum)                                                                                             \
    X(FS_REDUCED_MEAN, mean)                                                                                           \
    X(FS_REDUCED_PROD, prod)                                                                                           \
    X(FS_REDUCED_MAX, max)                                                                                             \
    X(FS_REDUCED_MIN, min)                                                                                             \
    X(FS_REDUCED_ARGMAX, argmax)                                                                                       \
    X(FS_REDUCED_ARGMIN, argmin)                                                                                       \
    X(FS_REDUCED_SUM_I32, sum_int32)                                                                                   \
    X(FS_REDUCED_PROD_I32, prod_int32)                                                                                 \
    X(FS_REDUCED_MAX_I32, max_int32)                                                                                   \
    X(FS_REDUCED_MIN_I32, min_int32)                                                                                   \
    X(FS_REDUCED_ARGMAX_I32, argmax_int32)                                                                             \
    X(FS_REDUCED_ARGMIN_I32, argmin_int32)
#endif
