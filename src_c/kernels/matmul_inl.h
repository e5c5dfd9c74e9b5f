/* y = a b for each entry of a batch, of any strides: products of two arrays that both change from call to call.

   An element is one chain of fused multiply-adds from zero on, k = 0, 1, 2 ..., whatever shapes, threads and blocks there
   are. k goes in pieces, between which the sums wait in y as they are; so a block of b's columns is packed on the
   thread's stack, and stays in L2 while rows of a pass. For few rows b is read where it stands, if its columns lie side
   by side. */
#define FS_MATMUL_DEPTH 256
#define FS_MATMUL_DIRECT_ROWS 8 /* fewer rows do not pay for packing */

typedef struct {
    const fs_matrices *s;
    const float *a, *w; /* a at this piece of k; its rows of b, `apart` floats between them */
    float *y;
    int64_t apart, column, depth;
    int first, last; /* whether the sums begin, and end, with this piece of k */
} fs_matmul_run;

FS_INLINE void fs_matmul_inner(fs_sums acc, const fs_matmul_run *c, int64_t row, int64_t lane, const int R,
                               const int from, const int to)
{
    const float *w = c->w + lane, *x[FS_MOST_ROWS];
    const int64_t apart = c->apart, ak = c->s->ak;
    FS_UNROLL for (int r = 0; r < R; r++) x[r] = c->a + (row + r) * c->s->am;
    int64_t at = 0;
    for (int64_t k = c->depth; k > 0; k--, w += apart, at += ak) {
        vf columns[4];
        FS_UNROLL for (int g = from; g < to; g++)
        {
            columns[g] = v_load(w + g * FS_PANEL);
            if (R > 1 && R * (to - from) + to - from + 1 <= FS_REGISTERS)
                V_IN_REGISTER(columns[g]);
        }
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            vf value = v_bcast(x[r] + at);
            FS_UNROLL for (int g = from; g < to; g++) acc[r][g] = v_fma(value, columns[g], acc[r][g]);
        }
    }
}

/* Lanes of a row of y that stand `yn` apart. */
static vf fs_matmul_gather(const float *y, int64_t yn, int64_t count)
{
    float lanes[VLEN] __attribute__((aligned(64))) = {0};
    for (int64_t i = 0; i < count; i++)
        lanes[i] = y[i * yn];
    return v_load(lanes);
}
static void fs_matmul_scatter(float *y, int64_t yn, int64_t count, vf sums)
{
    float lanes[VLEN] __attribute__((aligned(64)));
    v_store(lanes, sums);
    for (int64_t i = 0; i < count; i++)
        y[i * yn] = lanes[i];
}

/* R rows of y from rows[0] on, one vector of each of G panels. */
FS_INLINE void fs_matmul_tile(fs_matmul_run *c, const int32_t *rows, int64_t lane, const int R, const int G)
{
    const fs_matrices *s = c->s;
    const int64_t columns = s->n - c->column;
    float *y = c->y + rows[0] * s->ym + c->column * s->yn;
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < G; g++)
        {
            const int64_t at = lane + g * FS_PANEL;
            acc[r][g] = c->first        ? v_zero()
                        : s->yn == 1 ? fs_load_units(y + r * s->ym, at, columns)
                                     : fs_matmul_gather(y + r * s->ym + at * s->yn, s->yn, fs_smaller(VLEN, columns - at));
        }
    }
    if (R * G + G + 1 > FS_REGISTERS && G == 4 && R > 3) {
        fs_matmul_inner(acc, c, rows[0], lane, R, 0, 2);
        fs_matmul_inner(acc, c, rows[0], lane, R, 2, 4);
    } else {
        fs_matmul_inner(acc, c, rows[0], lane, R, 0, G);
    }
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < G; g++)
        {
            const int64_t at = lane + g * FS_PANEL;
            const vf sum = c->last ? v_one_nan(acc[r][g]) : acc[r][g];
            if (s->yn == 1)
                fs_store_units(y + r * s->ym, at, columns, sum);
            else
                fs_matmul_scatter(y + r * s->ym + at * s->yn, s->yn, fs_smaller(VLEN, columns - at), sum);
        }
    }
}
#define FS_MATMUL_PANELS(G, by_rows)                                                                                   \
    FS_INLINE void fs_matmul_##G(fs_matmul_run *c, const int32_t *rows, int64_t lane, const int R)                     \
    {                                                                                                                  \
        fs_matmul_tile(c, rows, lane, R, G);                                                                           \
    }                                                                                                                  \
    by_rows(fs_matmul_##G, fs_matmul_run)
FS_MATMUL_PANELS(1, FS_BY_ROWS_8)
FS_MATMUL_PANELS(2, FS_BY_ROWS_6)
FS_MATMUL_PANELS(3, FS_BY_ROWS_OF_3)
FS_MATMUL_PANELS(4, FS_BY_ROWS_6)

/* Four by four elements, turned: rows of x stand x_apart apart, those of y y_apart. */
typedef float fs_four __attribute__((vector_size(16)));
FS_INLINE void fs_turn_four(const float *x, int64_t x_apart, float *y, int64_t y_apart)
{
    fs_four a, b, c, d;
    __builtin_memcpy(&a, x, 16), __builtin_memcpy(&b, x + x_apart, 16);
    __builtin_memcpy(&c, x + 2 * x_apart, 16), __builtin_memcpy(&d, x + 3 * x_apart, 16);
    const fs_four rows[4] = {
        {a[0], b[0], c[0], d[0]}, {a[1], b[1], c[1], d[1]}, {a[2], b[2], c[2], d[2]}, {a[3], b[3], c[3], d[3]}};
    __builtin_memcpy(y, &rows[0], 16), __builtin_memcpy(y + y_apart, &rows[1], 16);
    __builtin_memcpy(y + 2 * y_apart, &rows[2], 16), __builtin_memcpy(y + 3 * y_apart, &rows[3], 16);
}

/* `depth` rows of b and the columns of `panels` panels, side by side; columns that are not there are zeros. */
static void fs_matmul_pack(const fs_matrices *s, const float *b, int64_t depth, int64_t columns, int panels, float *to)
{
    const int64_t width = panels * FS_PANEL;
    if (s->bn == 1) {
        for (int64_t k = 0; k < depth; k++)
            for (int64_t at = 0; at < width; at += VLEN)
                v_store(to + k * width + at, fs_load_units(b + k * s->bk, at, columns));
        return;
    }
    const int64_t whole = s->bk == 1 ? columns / 4 * 4 : 0, deep = depth / 4 * 4;
    for (int64_t u = 0; u < whole; u += 4)
        for (int64_t k = 0; k < deep; k += 4)
            fs_turn_four(b + k + u * s->bn, s->bn, to + k * width + u, width);
    for (int64_t u = 0; u < width; u++)
        for (int64_t k = u < whole ? deep : 0; k < depth; k++)
            to[k * width + u] = u < columns ? b[k * s->bk + u * s->bn] : 0.0f;
}

/* Rows [row, end) of the columns from c->column on. packed: room; held: whose columns it has from before, if any. */
static void fs_matmul_piece(fs_matmul_run *c, const float *a, const float *b, int64_t row, int64_t end, float *packed,
                            const float **held)
{
    static void (*const *const tables[])(fs_matmul_run *, const int32_t *, int64_t) = {
        0, fs_matmul_1_table, fs_matmul_2_table, fs_matmul_3_table, fs_matmul_4_table};
    static const int most_rows[] = {0, 8, 6, FS_ROWS_3, 6};
    const fs_matrices *s = c->s;
    const int64_t columns = fs_smaller(s->n - c->column, FS_PRODUCT_COLUMNS);
    const int panels = (int)((columns + FS_PANEL - 1) / FS_PANEL);
    const int direct = s->bn == 1 && columns % FS_PANEL == 0 && end - row < FS_MATMUL_DIRECT_ROWS;
    int64_t k = 0;
    do {
        const float *from = b + k * s->bk + c->column * s->bn;
        c->depth = fs_smaller(s->k - k, FS_MATMUL_DEPTH);
        c->a = a + k * s->ak;
        c->first = k == 0;
        c->last = k + c->depth == s->k;
        c->w = direct ? from : packed;
        c->apart = direct ? s->bk : panels * FS_PANEL;
        if (!direct && (*held != from || s->k > FS_MATMUL_DEPTH)) {
            fs_matmul_pack(s, from, c->depth, columns, panels, packed);
            *held = from;
        }
        for (int64_t at = row; at < end;) {
            const int n = fs_block_rows((int)(end - at), most_rows[panels]);
            const int32_t first = (int32_t)at;
            for (int64_t lane = 0; lane < fs_smaller(FS_PANEL, columns); lane += VLEN)
                tables[panels][n](c, &first, lane);
            at += n;
        }
        k += c->depth;
    } while (k < s->k);
}

static int fs_matmul(const fs_matmul_args *a, const fs_share *share)
{
    float packed[FS_MATMUL_DEPTH * FS_PRODUCT_COLUMNS] __attribute__((aligned(64)));
    const float *held = NULL;
    const fs_matrices s = fs_matrices_of(a);
    const fs_matmul_plan plan = fs_plan_matmul(&s);
    fs_matmul_run run = {.s = &s};
    for (int64_t piece = share->row_lo; piece < share->row_hi; piece++) {
        const int64_t part = piece / plan.down, entry = part / plan.across;
        const int64_t i = entry / (a->n1 * a->n2), j = entry / a->n2 % a->n1, l = entry % a->n2;
        const float *left = a->a + i * a->a0 + j * a->a1 + l * a->a2;
        const float *right = a->b + i * a->b0 + j * a->b1 + l * a->b2;
        const int64_t row = piece % plan.down * plan.rows;
        run.column = part % plan.across * FS_PRODUCT_COLUMNS;
        run.y = a->y + i * a->y0 + j * a->y1 + l * a->y2;
        fs_matmul_piece(&run, s.turned ? right : left, s.turned ? left : right, row, fs_smaller(s.m, row + plan.rows),
                        packed, &held);
    }
    return 0;
}
