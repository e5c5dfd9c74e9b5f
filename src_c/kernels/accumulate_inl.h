/* The inner loop of every product: R rows times up to 4 vectors of weights (gates, or panels), in registers. */
#ifndef FS_ACCUMULATE_INL
#define FS_ACCUMULATE_INL

#define FS_VECTORS (FS_PANEL / VLEN) /* vectors in a panel */

/* FS_ROWS_<G>: rows whose sums of G vectors fit the registers beside the weights and a broadcast. With 32 registers, on
   AVX-512 and NEON, 24 sums do; with 16, on AVX2 and SSE2, 12: six rows of four vectors then take their k twice, two
   vectors each time, since three rows of four would want a 17th register (AVX2, LSTM: 115 -> 128 GFLOP/s). */
#define FS_ROWS_4 6
#if defined(__AVX512F__) || defined(__aarch64__)
#define FS_REGISTERS 32
#define FS_ROWS_3 8
/* Eight rows alone go as one block all the same, two vectors at a time: their weights then come once from L2, or from
   further away (LSTM (8,100,256,256): 2.5% less time; with more rows blocks of more than 6 take longer). */
#define FS_ROWS_4_ALONE 8
#define FS_ROWS_4_FAR 6
#else
#define FS_REGISTERS 16
#define FS_ROWS_3 4
#define FS_ROWS_4_ALONE 6
/* Weights from beyond L2 are read once, by three rows (LSTM (32,20,1024,1024) on AVX2: 123 -> 98 ms). */
#define FS_ROWS_4_FAR 3
#endif
#define FS_MOST_ROWS 8 /* of any block */

#define FS_UNROLL _Pragma("GCC unroll 16")

typedef vf fs_sums[FS_MOST_ROWS][4];

/* Memory to fetch into the caches while something else is computed: one line for each k, `apart` bytes between them;
   apart 0 for none. */
typedef struct {
    const char *from;
    int64_t apart;
} fs_ahead;

FS_INLINE void fs_accumulate_gates(fs_sums acc, const float *const *x, const fs_weight *w, int64_t count, int64_t apart,
                                   fs_ahead ahead, const int R, const int from, const int to)
{
    for (int64_t k = 0; k < count; k++, w += apart) {
        vf weights[4];
        if (R * (to - from) >= 12 && ahead.apart)
            __builtin_prefetch(ahead.from + k * ahead.apart);
        FS_UNROLL for (int g = from; g < to; g++)
        {
            weights[g] = w_load(w + g * FS_PANEL);
            /* Left alone, the compiler reads them from memory again for every row: 15 loads for 12 products. */
            if (R > 1 && R * (to - from) + to - from + 1 <= FS_REGISTERS)
                V_IN_REGISTER(weights[g]);
        }
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            vf value = v_bcast(x[r] + k);
            FS_UNROLL for (int g = from; g < to; g++) acc[r][g] = v_fma(value, weights[g], acc[r][g]);
        }
    }
}

/* acc[r][g] += sum over k of x[r][k] * w[k][g], k in order, one fused multiply-add each: the order of a lane's sum
   never depends on R, on the ISA, or on what else is computed beside it. `apart` weights lie between k and k + 1. */
FS_INLINE void fs_accumulate(fs_sums acc, const float *const *x, const fs_weight *w, int64_t count, int64_t apart,
                             fs_ahead ahead, const int R, const int G)
{
    if (G == 4 && (R + 1) * G + 1 > FS_REGISTERS && R > 3) {
        fs_accumulate_gates(acc, x, w, count, apart, ahead, R, 0, 2);
        fs_accumulate_gates(acc, x, w, count, apart, (fs_ahead){NULL, 0}, R, 2, 4);
    } else {
        fs_accumulate_gates(acc, x, w, count, apart, ahead, R, 0, G);
    }
}

/* Blocks that a single row takes side by side: 16 sums of 32 registers, or 8 of 16. */
#if FS_REGISTERS == 32
#define FS_MOST_BESIDE 4
#else
#define FS_MOST_BESIDE 2
#endif

/* The same for one row and N blocks side by side, whose weights begin at w[0] .. w[N - 1]. */
FS_INLINE void fs_accumulate_beside(fs_sums acc, const float *x, const fs_weight *const *w, int64_t count,
                                    int64_t apart, const int N, const int G)
{
    for (int64_t k = 0; k < count; k++) {
        vf value = v_bcast(x + k);
        FS_UNROLL for (int n = 0; n < N; n++)
        {
            FS_UNROLL for (int g = 0; g < G; g++)
                acc[n][g] = v_fma(value, w_load(w[n] + k * apart + g * FS_PANEL), acc[n][g]);
        }
    }
}

/* Stores the lanes of a vector of units [unit, unit + VLEN) that exist. */
FS_INLINE void fs_store_units(float *y, int64_t unit, int64_t units, vf value)
{
    int64_t left = units - unit;
    if (left >= VLEN)
        v_store(y + unit, value);
    else if (left > 0)
        v_store_part(y + unit, (int)left, value);
}

/* The lanes of a vector of units [unit, unit + VLEN) that exist, zeros in the others. */
FS_INLINE vf fs_load_units(const float *x, int64_t unit, int64_t units)
{
    int64_t left = units - unit;
    return left >= VLEN ? v_load(x + unit) : v_load_part(x + unit, left > 0 ? (int)left : 0);
}

/* Rows of the next block, `most` at most, when `left` rows are left: as even as can be, since a block of 2 rows takes
   as long as one of 4 (32 rows go as 6 6 5 5 5 5, not as 6 6 6 6 6 2: 12% less time). */
FS_INLINE int fs_block_rows(int left, int most)
{
    int blocks = (left + most - 1) / most;
    return (left + blocks - 1) / blocks;
}

/* One function per number of rows, and a table of them: FS_BY_ROWS_<most>(name, context) makes name_1 .. name_<most>
   from the inline function name(context *, const int32_t *rows, int64_t block, const int R). */
#define FS_ROWS_FUNCTION(name, context, R)                                                                             \
    static __attribute__((noinline)) void name##_##R(context *c, const int32_t *rows, int64_t block)                   \
    {                                                                                                                  \
        name(c, rows, block, R);                                                                                       \
    }
#define FS_BY_ROWS_4(name, context)                                                                                    \
    FS_ROWS_FUNCTION(name, context, 1) FS_ROWS_FUNCTION(name, context, 2) FS_ROWS_FUNCTION(name, context, 3)           \
    FS_ROWS_FUNCTION(name, context, 4)                                                                                 \
    static void (*const name##_table[])(context *, const int32_t *, int64_t) = {                                       \
        0, name##_1, name##_2, name##_3, name##_4};
#define FS_BY_ROWS_6(name, context)                                                                                    \
    FS_ROWS_FUNCTION(name, context, 1) FS_ROWS_FUNCTION(name, context, 2) FS_ROWS_FUNCTION(name, context, 3)           \
    FS_ROWS_FUNCTION(name, context, 4) FS_ROWS_FUNCTION(name, context, 5) FS_ROWS_FUNCTION(name, context, 6)           \
    static void (*const name##_table[])(context *, const int32_t *, int64_t) = {                                       \
        0, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6};
#define FS_BY_ROWS_8(name, context)                                                                                    \
    FS_ROWS_FUNCTION(name, context, 1) FS_ROWS_FUNCTION(name, context, 2) FS_ROWS_FUNCTION(name, context, 3)           \
    FS_ROWS_FUNCTION(name, context, 4) FS_ROWS_FUNCTION(name, context, 5) FS_ROWS_FUNCTION(name, context, 6)           \
    FS_ROWS_FUNCTION(name, context, 7) FS_ROWS_FUNCTION(name, context, 8)                                              \
    static void (*const name##_table[])(context *, const int32_t *, int64_t) = {                                       \
        0, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8};
/* FS_TILES(name, context, by_rows) makes a table by rows, name_rows_table, and one by blocks of a single row,
   name_beside, from the inline function name(context *, const int32_t *rows, int64_t block, const int R, const int N).
   */
#define FS_BESIDE_FUNCTION(name, context, N)                                                                           \
    static __attribute__((noinline)) void name##_beside_##N(context *c, const int32_t *rows, int64_t block)            \
    {                                                                                                                  \
        name(c, rows, block, 1, N);                                                                                    \
    }
#if FS_MOST_BESIDE == 4
#define FS_BESIDE(name, context)                                                                                       \
    FS_BESIDE_FUNCTION(name, context, 2) FS_BESIDE_FUNCTION(name, context, 3) FS_BESIDE_FUNCTION(name, context, 4)     \
    static void (*const name##_beside[])(context *, const int32_t *, int64_t) = {                                      \
        0, name##_rows_1, name##_beside_2, name##_beside_3, name##_beside_4};
#else
#define FS_BESIDE(name, context)                                                                                       \
    FS_BESIDE_FUNCTION(name, context, 2)                                                                               \
    static void (*const name##_beside[])(context *, const int32_t *, int64_t) = {                                      \
        0, name##_rows_1, name##_beside_2};
#endif
#define FS_TILES(name, context, by_rows)                                                                               \
    FS_INLINE void name##_rows(context *c, const int32_t *rows, int64_t block, const int R)                            \
    {                                                                                                                  \
        name(c, rows, block, R, 1);                                                                                    \
    }                                                                                                                  \
    by_rows(name##_rows, context) FS_BESIDE(name, context)

/* For blocks of 4 vectors, and of 3. */
#if FS_REGISTERS == 32
#define FS_BY_ROWS_OF_4 FS_BY_ROWS_8
#define FS_BY_ROWS_OF_3 FS_BY_ROWS_8
#else
#define FS_BY_ROWS_OF_4 FS_BY_ROWS_6
#define FS_BY_ROWS_OF_3 FS_BY_ROWS_4
#endif
#endif
