/* Chains of elementwise operations in one pass: a block of elements goes through all instructions before the next one,
   so that what lies between them stays in L1. An instruction is one loop of one operation over registers of a block.
   An operation gives the same bits in a chain and alone, since each result is rounded to float32. */

/* Elements of a register: the work of an instruction on so many (10 ns for a sum) hides what it costs to choose it
   (2 ns), and eight registers are half of L1. */
#define FS_CHAIN_BLOCK 512

FS_INLINE vf v_chain_square(vf a) { return v_mul(a, a); }
FS_INLINE vf v_chain_reciprocal(vf a) { return v_div(v_set1(1.0f), a); }
FS_INLINE vf v_chain_rsqrt(vf a) { return v_div(v_set1(1.0f), v_sqrt(a)); }
/* A NaN on either side comes through, as in NumPy and TensorFlow. */
FS_INLINE vf v_chain_maximum(vf a, vf b) { return v_select(v_isnan(a), a, v_max(a, b)); }
FS_INLINE vf v_chain_minimum(vf a, vf b) { return v_select(v_isnan(a), a, v_min(a, b)); }

/* As NumPy: towards minus infinity, 0 where the divisor is 0, and the smallest integer by -1 wraps around. */
FS_INLINE int32_t fs_floor_divide(int32_t a, int32_t b)
{
    if (b == 0 || b == -1)
        return b ? (int32_t)(0u - (uint32_t)a) : 0;
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
FS_INLINE int32_t fs_floor_mod(int32_t a, int32_t b)
{
    if (b == 0 || b == -1)
        return 0;
    const int32_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
/* By a number that is no number of bits: what shifting bit by bit would leave. */
FS_INLINE int32_t fs_left_shift(int32_t a, int32_t b) { return (uint32_t)b < 32 ? (int32_t)((uint32_t)a << b) : 0; }
FS_INLINE int32_t fs_right_shift(int32_t a, int32_t b) { return a >> ((uint32_t)b < 32 ? b : 31); }

/* One part of a pass: the blocks of the registers, and the memory of those that are not read or written in place. */
typedef struct {
    const fs_chain_args *chain;
    float *at[FS_CHAIN_REGISTERS];
    const float *filled[FS_CHAIN_INPUTS]; /* what an input's memory was last filled from, */
    int64_t rows[FS_CHAIN_INPUTS];        /* and how many rows of it */
    const void *x[FS_CHAIN_INPUTS];
    const int64_t *strides[FS_CHAIN_INPUTS];
    int64_t most; /* elements of the largest block */
    float memory[FS_CHAIN_REGISTERS][FS_CHAIN_BLOCK];
} fs_chain;

static void fs_chain_begin(fs_chain *c, const fs_chain_args *a)
{
    const void *x[FS_CHAIN_INPUTS] = {a->x0, a->x1, a->x2, a->x3, a->x4, a->x5, a->x6, a->x7};
    const int64_t *strides[FS_CHAIN_INPUTS] = {&a->s00, &a->s10, &a->s20, &a->s30, &a->s40, &a->s50, &a->s60, &a->s70};
    c->chain = a;
    for (int i = 0; i < FS_CHAIN_INPUTS; i++)
        c->x[i] = x[i], c->strides[i] = strides[i], c->filled[i] = NULL, c->rows[i] = 0;
    for (int r = 0; r < FS_CHAIN_REGISTERS; r++)
        c->at[r] = c->memory[r];
    c->most = fs_smaller(FS_CHAIN_BLOCK, a->n3 * a->n4);
    for (int64_t k = 0; k < a->number_count; k++)
        for (int64_t i = 0; i < c->most; i++)
            c->memory[a->inputs + k][i] = a->numbers[k];
}

/* Where input i stands at the first element of dimension 3 and 4. */
FS_INLINE const char *fs_chain_place(const fs_chain *c, int i, int64_t i0, int64_t i1, int64_t i2)
{
    const int64_t *s = c->strides[i];
    return (const char *)c->x[i] + (i0 * s[0] + i1 * s[1] + i2 * s[2]) * (c->chain->bytes_in >> i & 1 ? 1 : 4);
}

/* Register i holds `cols` elements from each of `rows` rows of its input, from `from` on: in place where they lie one
   behind the other. What is broadcast is not copied again for the next block. */
static void fs_chain_load(fs_chain *c, int i, const char *from, int64_t rows, int64_t cols)
{
    const int64_t down = c->strides[i][3], across = c->strides[i][4];
    const int bytes = c->chain->bytes_in >> i & 1;
    if (!bytes && across == 1 && (rows == 1 || down == cols)) {
        c->at[i] = (float *)from;
        return;
    }
    float *to = c->at[i] = c->memory[i];
    if (c->filled[i] == (const float *)from && (c->rows[i] == rows || (down == 0 && (across == 0 || rows < c->rows[i]))))
        return;
    if (down == 0 && across == 0)
        rows = 1, cols = c->most;
    c->filled[i] = (const float *)from, c->rows[i] = rows;
    for (int64_t r = 0; r < rows; r++, to += cols) {
        if (r && down == 0) {
            __builtin_memcpy(to, c->memory[i], (size_t)cols * 4);
        } else if (bytes) {
            const uint8_t *x = (const uint8_t *)from + r * down;
            for (int64_t k = 0; k < cols; k++)
                ((int32_t *)to)[k] = x[k * across];
        } else {
            const float *x = (const float *)from + r * down;
            if (across == 0)
                for (int64_t k = 0; k < cols; k++)
                    to[k] = *x;
            else
                for (int64_t k = 0; k < cols; k++)
                    to[k] = x[k * across];
        }
    }
}

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
    default:
        fs_chain_step_i32(operation, (int32_t *)y, (const int32_t *)a, (const int32_t *)b, n);
    }
}

/* All instructions on the first n elements of the registers. */
static void fs_chain_run(const fs_chain *c, int64_t n)
{
    const int32_t *code = c->chain->code, *end = code + 5 * c->chain->instructions;
    for (; code < end; code += 5) {
        float *y = c->at[code[1]];
        const float *a = c->at[code[2]];
        if (code[0] == FS_CHAIN_ACTIVATION)
            fs_act_array(code[3], c->chain->numbers + code[4], y, a, n);
        else
            fs_chain_step(code[0], y, a, c->at[code[3]], c->at[code[4]], n);
    }
}

/* One piece of work (fs_chain_tile): rows [from, from + rows) of dimension 3 and the columns from `first` on. */
static void fs_elementwise_piece(fs_chain *c, const fs_elementwise_args *s, const int64_t i[3], int64_t from,
                                 int64_t rows, int64_t first, int64_t cols)
{
    void *const y[FS_CHAIN_OUTPUTS] = {s->y0, s->y1, s->y2, s->y3};
    const int32_t *results = s->code + 5 * s->instructions;
    const int64_t begin = (((i[0] * s->n1 + i[1]) * s->n2 + i[2]) * s->n3 + from) * s->n4 + first, n = rows * cols;
    for (int k = 0; k < (int)s->inputs; k++) {
        const int64_t at = from * c->strides[k][3] + first * c->strides[k][4];
        fs_chain_load(c, k, fs_chain_place(c, k, i[0], i[1], i[2]) + at * (s->bytes_in >> k & 1 ? 1 : 4), rows, cols);
    }
    for (int k = 0; k < (int)s->outputs; k++)
        if (!(s->bytes_out >> k & 1))
            c->at[results[5 * k + 1]] = (float *)y[k] + begin;
    fs_chain_run(c, n);
    for (int k = 0; k < (int)s->outputs; k++)
        if (s->bytes_out >> k & 1) {
            const int32_t *from_register = (const int32_t *)c->at[results[5 * k + 1]];
            for (int64_t e = 0; e < n; e++)
                ((uint8_t *)y[k])[begin + e] = from_register[e] != 0;
        }
}

static int fs_elementwise(const fs_elementwise_args *s, const fs_share *share)
{
    fs_chain c;
    const fs_chain_args *a = (const fs_chain_args *)s;
    const fs_tiles tiles = fs_chain_tiles(a);
    const int64_t block_rows = s->n4 >= FS_CHAIN_BLOCK || s->n4 == 0 ? 1 : FS_CHAIN_BLOCK / s->n4;
    fs_chain_begin(&c, a);
    for (int64_t piece = share->row_lo; piece < share->row_hi; piece++) {
        const int64_t tile = piece / tiles.across, first = piece % tiles.across * tiles.cols;
        const int64_t outer = tile / tiles.down, top = tile % tiles.down * tiles.rows;
        const int64_t i[3] = {outer / (s->n1 * s->n2), outer / s->n2 % s->n1, outer % s->n2};
        const int64_t bottom = fs_smaller(top + tiles.rows, s->n3), right = fs_smaller(first + tiles.cols, s->n4);
        for (int64_t row = top; row < bottom; row += block_rows)
            for (int64_t col = first; col < right; col += FS_CHAIN_BLOCK)
                fs_elementwise_piece(&c, s, i, row, fs_smaller(block_rows, bottom - row), col,
                                     fs_smaller(FS_CHAIN_BLOCK, right - col));
    }
    return 0;
}
