/* What an instruction of a chain may be (kernels/chain_inl.h): FS_CHAIN_<operation>, and the name that Python knows it
   by. A register holds 4-byte elements: floats, or int32; bools are int32 of 0 and 1. */
#ifndef FS_CHAIN_KINDS_H
#define FS_CHAIN_KINDS_H

/* y = f(a), floats: the third entry is the word of simd/. */
#define FS_CHAIN_FLOAT1(X)                                                                                             \
    X(FS_CHAIN_NEGATIVE, negative, v_neg)                                                                              \
    X(FS_CHAIN_ABS, abs, v_abs)                                                                                        \
    X(FS_CHAIN_SQRT, sqrt, v_sqrt)                                                                                     \
    X(FS_CHAIN_SQUARE, square, v_chain_square)                                                                         \
    X(FS_CHAIN_RECIPROCAL, reciprocal, v_chain_reciprocal)                                                             \
    X(FS_CHAIN_RSQRT, rsqrt, v_chain_rsqrt)                                                                            \
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

/* y = whether it holds of a and b, floats. */
#define FS_CHAIN_COMPARE(X)                                                                                            \
    X(FS_CHAIN_EQUAL, equal, v_eq)                                                                                     \
    X(FS_CHAIN_LESS, less, v_lt)                                                                                       \
    X(FS_CHAIN_LESS_EQUAL, less_equal, v_le)

/* int32: y = an expression of a[i] and b[i]; sums and products wrap around. Bools too. */
#define FS_CHAIN_INT2(X)                                                                                               \
    X(FS_CHAIN_ADD_I32, add_int32, (int32_t)((uint32_t)a[i] + (uint32_t)b[i]))                                         \
    X(FS_CHAIN_SUBTRACT_I32, subtract_int32, (int32_t)((uint32_t)a[i] - (uint32_t)b[i]))                               \
    X(FS_CHAIN_MULTIPLY_I32, multiply_int32, (int32_t)((uint32_t)a[i] * (uint32_t)b[i]))                               \
    X(FS_CHAIN_MAXIMUM_I32, maximum_int32, a[i] > b[i] ? a[i] : b[i])                                                  \
    X(FS_CHAIN_MINIMUM_I32, minimum_int32, a[i] < b[i] ? a[i] : b[i])                                                  \
    X(FS_CHAIN_FLOOR_DIVIDE_I32, floor_divide_int32, fs_floor_divide(a[i], b[i]))                                      \
    X(FS_CHAIN_MOD_I32, mod_int32, fs_floor_mod(a[i], b[i]))                                                           \
    X(FS_CHAIN_EQUAL_I32, equal_int32, a[i] == b[i])                                                                   \
    X(FS_CHAIN_LESS_I32, less_int32, a[i] < b[i])                                                                      \
    X(FS_CHAIN_LESS_EQUAL_I32, less_equal_int32, a[i] <= b[i])                                                         \
    X(FS_CHAIN_BITWISE_AND, bitwise_and, a[i] & b[i])                                                                  \
    X(FS_CHAIN_BITWISE_OR, bitwise_or, a[i] | b[i])                                                                    \
    X(FS_CHAIN_BITWISE_XOR, bitwise_xor, a[i] ^ b[i])                                                                  \
    X(FS_CHAIN_LEFT_SHIFT, left_shift, fs_left_shift(a[i], b[i]))                                                      \
    X(FS_CHAIN_RIGHT_SHIFT, right_shift, fs_right_shift(a[i], b[i]))

/* What is neither: kernels/chain_inl.h has a case for each. */
#define FS_CHAIN_OTHER(X)                                                                                              \
    X(FS_CHAIN_COPY, copy)                 /* y = a */                                                                 \
    X(FS_CHAIN_SELECT, select)             /* y = a ? b : c */                                                         \
    X(FS_CHAIN_LOGICAL_NOT, logical_not)   /* y = a == 0, int32 */                                                     \
    X(FS_CHAIN_ISNAN, isnan)               /* of floats */                                                             \
    X(FS_CHAIN_TO_FLOAT, int32_to_float32) /* the nearest float */                                                     \
    X(FS_CHAIN_TO_INT, float32_to_int32)   /* as the step "cast" */                                                    \
    X(FS_CHAIN_ACTIVATION, activation)     /* b: its kind, c: the first of its three numbers */

#define FS_CHAIN_KINDS(X)                                                                                              \
    FS_CHAIN_FLOAT1(X) FS_CHAIN_FLOAT2(X) FS_CHAIN_COMPARE(X) FS_CHAIN_INT2(X) FS_CHAIN_OTHER(X)

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
