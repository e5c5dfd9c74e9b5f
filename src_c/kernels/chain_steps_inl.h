/* The instructions of chains (abi/chain_kinds.h), each one loop over registers of a block: y = f(a, b, c). An operation
   gives the same bits in a chain and alone, since each result is rounded to float32. */
#include "simd/simd_functions.h"

FS_INLINE vf v_chain_square(vf a) { return v_mul(a, a); }
FS_INLINE vf v_chain_reciprocal(vf a) { return v_div(v_set1(1.0f), a); }
/* A NaN on either side comes through, as in NumPy and TensorFlow. */
FS_INLINE vf v_chain_maximum(vf a, vf b) { return v_select(v_isnan(a), a, v_max(a, b)); }
FS_INLINE vf v_chain_minimum(vf a, vf b) { return v_select(v_isnan(a), a, v_min(a, b)); }

#define FS_CHAIN_LOOP(expression)                                                                                      \
    do {                                                                                                               \
        int64_t i = 0;                                                                                                 \
        for (; i + VLEN <= n; i += VLEN) {                                                                             \
            const vf x = v_load(a + i), w = v_load(b + i);                                                             \
            (void)w;                                                                                                   \
            v_store(y + i, expression);                                                                                \
        }                                                                                                              \
        if (i < n) {                                                                                                   \
            const vf x = v_load_part(a + i, (int)(n - i)), w = v_load_part(b + i, (int)(n - i));                       \
            (void)w;                                                                                                   \
            v_store_part(y + i, (int)(n - i), expression);                                                             \
        }                                                                                                              \
    } while (0)

#define FS_CHAIN_INT_CASE(number, name, expression)                                                                    \
    case number:                                                                                                       \
        for (int64_t i = 0; i < n; i++)                                                                                \
            y[i] = expression;                                                                                         \
        return;

/* Instructions on int32, and on bools. */
static void fs_chain_step_i32(int operation, int32_t *y, const int32_t *a, const int32_t *b, int64_t n)
{
    switch (operation) {
        FS_CHAIN_INT1(FS_CHAIN_INT_CASE)
        FS_CHAIN_INT2(FS_CHAIN_INT_CASE)
    case FS_CHAIN_LOGICAL_NOT:
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] == 0;
    }
}

#define FS_CHAIN_CASE1(number, name, word)                                                                             \
    case number:                                                                                                       \
        FS_CHAIN_LOOP(v_one_nan(word(x)));                                                                             \
        return;
#define FS_CHAIN_CASE2(number, name, word)                                                                             \
    case number:                                                                                                       \
        FS_CHAIN_LOOP(v_one_nan(word(x, w)));                                                                          \
        return;
#define FS_CHAIN_CASE_OF_COMPARE(number, name, word)                                                                   \
    case number:                                                                                                       \
        FS_CHAIN_LOOP(v_select(word(x, w), v_as_float(vi_set1(1)), v_zero()));                                         \
        return;

/* A function of its own for each of the long ones: the switch stays small, and each is there once, its last elements
   among the others. */
#define FS_CHAIN_BODY(number, name, word_of_x_w)                                                                       \
    __attribute__((noinline)) static void fs_chain_##name(float *y, const float *a, const float *b, int64_t n)         \
    {                                                                                                                  \
        (void)b;                                                                                                       \
        for (int64_t i = 0; i < n; i += VLEN) {                                                                        \
            const int whole = i + VLEN <= n, left = (int)(n - i);                                                      \
            const vf x = whole ? v_load(a + i) : v_load_part(a + i, left);                                             \
            const vf w = whole ? v_load(b + i) : v_load_part(b + i, left);                                             \
            (void)w;                                                                                                   \
            const vf found = v_one_nan(word_of_x_w);                                                                   \
            if (whole)                                                                                                 \
                v_store(y + i, found);                                                                                 \
            else                                                                                                       \
                v_store_part(y + i, left, found);                                                                      \
        }                                                                                                              \
    }
#define FS_CHAIN_BODY1(number, name, word) FS_CHAIN_BODY(number, name, word(x))
#define FS_CHAIN_BODY2(number, name, word) FS_CHAIN_BODY(number, name, word(x, w))
FS_CHAIN_FUNCTION1(FS_CHAIN_BODY1)
FS_CHAIN_FUNCTION2(FS_CHAIN_BODY2)
#define FS_CHAIN_CALL(number, name, word)                                                                              \
    case number:                                                                                                       \
        fs_chain_##name(y, a, b, n);                                                                                   \
        return;

static void fs_chain_step(int operation, float *y, const float *a, const float *b, const float *c, int64_t n)
{
    switch (operation) {
        FS_CHAIN_FLOAT1(FS_CHAIN_CASE1)
        FS_CHAIN_FLOAT2(FS_CHAIN_CASE2)
        FS_CHAIN_COMPARE(FS_CHAIN_CASE_OF_COMPARE)
    case FS_CHAIN_ISNAN:
        FS_CHAIN_LOOP(v_select(v_isnan(x), v_as_float(vi_set1(1)), v_zero()));
        return;
    case FS_CHAIN_COPY:
        __builtin_memcpy(y, a, (size_t)n * 4);
        return;
    case FS_CHAIN_SELECT:
        for (int64_t i = 0; i < n; i++)
            ((int32_t *)y)[i] = ((const int32_t *)a)[i] ? ((const int32_t *)b)[i] : ((const int32_t *)c)[i];
        return;
    case FS_CHAIN_TO_FLOAT:
        FS_CHAIN_LOOP(v_from_int(v_as_int(x)));
        return;
    case FS_CHAIN_TO_INT:
        for (int64_t i = 0; i < n; i++)
            ((int32_t *)y)[i] = fs_to_int(a[i]);
        return;
        FS_CHAIN_FUNCTION1(FS_CHAIN_CALL)
        FS_CHAIN_FUNCTION2(FS_CHAIN_CALL)
    default:
        fs_chain_step_i32(operation, (int32_t *)y, (const int32_t *)a, (const int32_t *)b, n);
    }
}
