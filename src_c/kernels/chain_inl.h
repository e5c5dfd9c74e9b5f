/* Chains of elementwise operations in one pass: a block of elements goes through all instructions before the next one,
   so that what lies between them stays in L1. An instruction is one loop of one operation over registers of a block
   (chain_steps_inl.h). */

/* Elements of a register: the work of an instruction on so many (10 ns for a sum) hides what it costs to choose it
   (2 ns), and eight registers are half of L1. */
#define FS_CHAIN_BLOCK 512

/* One part of a pass: the blocks of the registers, and the memory of those that are not read or written in place. */
typedef struct {
    const fs_chain_args *chain;
    float *at[FS_CHAIN_REGISTERS];
    const float *filled[FS_CHAIN_INPUTS]; /* what an input's memory was last filled from, */
    int64_t rows[FS_CHAIN_INPUTS];        /* and how many rows of it, */
    int64_t cols[FS_CHAIN_INPUTS];        /* of how many columns */
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
    for (int i = 0; i < (int)a->inputs; i++)
        c->x[i] = x[i], c->strides[i] = strides[i], c->filled[i] = NULL, c->rows[i] = c->cols[i] = 0;
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
    if (down == 0 && across == 0)
        rows = 1, cols = c->most;
    const int holds = cols == c->cols[i] && (rows == c->rows[i] || (down == 0 && rows < c->rows[i]));
    if (c->filled[i] == (const float *)from && holds)
        return;
    c->filled[i] = (const float *)from, c->rows[i] = rows, c->cols[i] = cols;
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

/* Where a piece of work begins: indices of the dimensions 0 to 2, the row of dimension 3, the column. */
typedef struct {
    int64_t i[3], top, first;
} fs_corner;
FS_INLINE fs_corner fs_corner_of(const fs_elementwise_args *s, const fs_tiles *tiles, int64_t piece)
{
    if (piece == 0) /* all of a small step: without six divisions */
        return (fs_corner){{0, 0, 0}, 0, 0};
    const int64_t tile = piece / tiles->across, outer = tile / tiles->down;
    return (fs_corner){{outer / (s->n1 * s->n2), outer / s->n2 % s->n1, outer % s->n2},
                       tile % tiles->down * tiles->rows,
                       piece % tiles->across * tiles->cols};
}

static int fs_elementwise(const fs_elementwise_args *s, const fs_share *share)
{
    fs_chain c;
    const fs_chain_args *a = (const fs_chain_args *)s;
    const fs_tiles tiles = fs_chain_tiles(a);
    const int64_t block_rows = s->n4 >= FS_CHAIN_BLOCK || s->n4 == 0 ? 1 : FS_CHAIN_BLOCK / s->n4;
    fs_chain_begin(&c, a);
    for (int64_t piece = share->row_lo; piece < share->row_hi; piece++) {
        const fs_corner at = fs_corner_of(s, &tiles, piece);
        const int64_t bottom = fs_smaller(at.top + tiles.rows, s->n3);
        const int64_t right = fs_smaller(at.first + tiles.cols, s->n4);
        for (int64_t row = at.top; row < bottom; row += block_rows)
            for (int64_t col = at.first; col < right; col += FS_CHAIN_BLOCK)
                fs_elementwise_piece(&c, s, at.i, row, fs_smaller(block_rows, bottom - row), col,
                                     fs_smaller(FS_CHAIN_BLOCK, right - col));
    }
    return 0;
}
