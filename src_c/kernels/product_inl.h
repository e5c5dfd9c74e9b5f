/* c = a' b over many rows: the gradient of weights, from what went into a product and the gradient of what came out.

   Rows go in chunks, and a chunk's sums begin at zero: so the error grows with the number of chunks, not of rows, and a
   result has the same bits whatever columns or rows of c a thread owns. Of b, a block of columns is packed and stays in
   the caches while all rows of c pass; a is read as it is. OpenBLAS's sgemm chooses AVX2 kernels on the CPUs where the
   AVX-512 ones here run at twice their speed. */
#define FS_PRODUCT_DEPTH 256

typedef struct {
    const fs_product_tn_args *args;
    const float *packed; /* (depth, panels, 16) */
    const float *piece[FS_PRODUCT_DEPTH]; /* rows of a that stand a1 apart */
    int length[FS_PRODUCT_DEPTH];
    const float *b_piece[FS_PRODUCT_DEPTH]; /* where the same rows of b begin */
    int pieces;
    int64_t a_apart, column;
    int64_t ahead; /* column of b whose lines are fetched into the caches meanwhile, -1 for none */
    int first; /* the chunk that overwrites c */
    float *c, *sums; /* of this piece of the rows */
} fs_product_run;

FS_INLINE void fs_outer(fs_sums acc, const fs_product_run *s, int64_t row, int64_t lane, int64_t apart, const int R,
                        const int from, const int to)
{
    const float *b = s->packed + lane;
    for (int piece = 0; piece < s->pieces; piece++) {
        const float *a = s->piece[piece] + row, *ahead = s->b_piece[piece] + s->ahead;
        for (int k = 0; k < s->length[piece]; k++, a += s->a_apart, b += apart) {
            vf columns[4];
            if (R * (to - from) >= 12 && s->ahead >= 0)
                __builtin_prefetch(ahead + k * s->args->b1);
            FS_UNROLL for (int g = from; g < to; g++)
            {
                columns[g] = v_load(b + g * FS_PANEL);
                if (R > 1 && R * (to - from) + to - from + 1 <= FS_REGISTERS)
                    V_IN_REGISTER(columns[g]);
            }
            FS_UNROLL for (int r = 0; r < R; r++)
            {
                vf value = v_bcast(a + r);
                FS_UNROLL for (int g = from; g < to; g++) acc[r][g] = v_fma(value, columns[g], acc[r][g]);
            }
        }
    }
}

/* R rows of c from rows[0] on, one vector of each of G panels. */
FS_INLINE void fs_product_tile(fs_product_run *s, const int32_t *rows, int64_t lane, const int R, const int G)
{
    const fs_product_tn_args *a = s->args;
    int64_t columns = a->n - s->column;
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_zero();
    }
    if (G == 4 && (R + 1) * G + 1 > FS_REGISTERS && R > 3) {
        fs_outer(acc, s, rows[0], lane, G * FS_PANEL, R, 0, 2);
        fs_outer(acc, s, rows[0], lane, G * FS_PANEL, R, 2, 4);
    } else {
        fs_outer(acc, s, rows[0], lane, G * FS_PANEL, R, 0, G);
    }
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *c = s->c + (rows[0] + r) * a->c_stride + s->column;
        FS_UNROLL for (int g = 0; g < G; g++)
        {
            int64_t at = lane + g * FS_PANEL;
            vf sum = s->first ? acc[r][g] : v_add(acc[r][g], fs_load_units(c, at, columns));
            fs_store_units(c, at, columns, sum);
        }
    }
}
#define FS_PRODUCT_PANELS(G, by_rows)                                                                                  \
    FS_INLINE void fs_product_##G(fs_product_run *s, const int32_t *rows, int64_t lane, const int R)                   \
    {                                                                                                                  \
        fs_product_tile(s, rows, lane, R, G);                                                                          \
    }                                                                                                                  \
    by_rows(fs_product_##G, fs_product_run)
FS_PRODUCT_PANELS(1, FS_BY_ROWS_8)
FS_PRODUCT_PANELS(2, FS_BY_ROWS_6)
FS_PRODUCT_PANELS(3, FS_BY_ROWS_OF_3)
FS_PRODUCT_PANELS(4, FS_BY_ROWS_6)

/* Rows [first, first + count) of the product, whose inner dimension has n1 of them: pieces of a. */
static void fs_product_chunk(fs_product_run *s, int64_t n1, int64_t first, int count)
{
    const fs_product_tn_args *a = s->args;
    s->pieces = 0;
    while (count > 0) {
        int64_t outer = first / n1, inner = first % n1, left = n1 - inner;
        int length = left < count ? (int)left : count;
        s->piece[s->pieces] = a->a + outer * a->a0 + inner * a->a1;
        s->b_piece[s->pieces] = a->b + outer * a->b0 + inner * a->b1;
        s->length[s->pieces++] = length;
        first += length;
        count -= length;
    }
}

/* Rows that are summed on their own before their sum is added to that of the chunk: a bias has no product's terms of
   either sign, its sum may grow, and one long chain lost to TensorFlow's trees. */
#define FS_PRODUCT_SUM 8

/* The chunk's rows of b, `panels` panels from `column` on, into `packed`; their sums into or onto `sums`. */
static void fs_product_pack(const fs_product_run *s, int64_t n1, int64_t first, int count, int panels, float *packed,
                            float *sums)
{
    const fs_product_tn_args *a = s->args;
    int64_t columns = a->n - s->column;
    vf total[4 * FS_VECTORS], part[4 * FS_VECTORS];
    for (int v = 0; v < 4 * FS_VECTORS; v++)
        total[v] = part[v] = v_zero();
    for (int k = 0; k < count; k++) {
        const float *b = a->b + (first + k) / n1 * a->b0 + (first + k) % n1 * a->b1 + s->column;
        float *to = packed + k * panels * FS_PANEL;
        if (columns >= panels * FS_PANEL && panels == 4) {
            FS_UNROLL for (int v = 0; v < 4 * FS_VECTORS; v++)
            {
                vf x = v_load(b + v * VLEN);
                v_store(to + v * VLEN, x);
                part[v] = v_add(part[v], x);
            }
        } else {
            for (int v = 0; v < panels * FS_VECTORS; v++) {
                vf x = fs_load_units(b, v * VLEN, columns);
                v_store(to + v * VLEN, x);
                part[v] = v_add(part[v], x);
            }
        }
        if (k % FS_PRODUCT_SUM == FS_PRODUCT_SUM - 1 || k == count - 1)
            for (int v = 0; v < 4 * FS_VECTORS; v++) {
                total[v] = v_add(total[v], part[v]);
                part[v] = v_zero();
            }
    }
    for (int v = 0; sums && v < panels * FS_VECTORS; v++) {
        vf sum = s->first ? total[v] : v_add(total[v], fs_load_units(sums + s->column, v * VLEN, columns));
        fs_store_units(sums + s->column, v * VLEN, columns, sum);
    }
}

/* Parts [lo, hi) of c, by columns or rows, of split number `split`. */
static void fs_product_parts_of(const fs_product_tn_args *a, int64_t split, int64_t lo, int64_t hi)
{
    static void (*const *const tables[])(fs_product_run *, const int32_t *, int64_t) = {
        0, fs_product_1_table, fs_product_2_table, fs_product_3_table, fs_product_4_table};
    static const int most_rows[] = {0, 8, 6, FS_ROWS_3, 6};
    float packed[FS_PRODUCT_DEPTH * FS_PRODUCT_COLUMNS] __attribute__((aligned(64)));
    fs_product_run run = {.args = a, .packed = packed, .a_apart = a->a1};
    int by_columns = fs_product_by_columns(a);
    int64_t column_lo = by_columns ? lo * FS_PRODUCT_COLUMNS : 0;
    int64_t column_hi = by_columns && hi * FS_PRODUCT_COLUMNS < a->n ? hi * FS_PRODUCT_COLUMNS : a->n;
    int64_t row_lo = by_columns ? 0 : lo * FS_PRODUCT_ROWS;
    int64_t row_hi = !by_columns && hi * FS_PRODUCT_ROWS < a->m ? hi * FS_PRODUCT_ROWS : a->m;
    int64_t rows = a->n0 * a->n1, n1 = a->n1;
    if (a->a0 == n1 * a->a1 && a->b0 == n1 * a->b1) /* one long dimension */
        n1 = rows;
    /* Splits begin at chunks. */
    int64_t chunks = (rows + FS_PRODUCT_DEPTH - 1) / FS_PRODUCT_DEPTH, splits = a->splits > 1 ? a->splits : 1;
    int64_t begin = chunks * split / splits * FS_PRODUCT_DEPTH;
    int64_t end = split == splits - 1 ? rows : chunks * (split + 1) / splits * FS_PRODUCT_DEPTH;
    run.c = a->c + split * a->m * a->c_stride;
    run.sums = a->sums ? a->sums + split * a->n : NULL;
    /* No rows are a chunk too: of zeros. */
    for (int64_t first = begin; first == begin || first < end; first += FS_PRODUCT_DEPTH) {
        int count = end - first < FS_PRODUCT_DEPTH ? (int)(end - first) : FS_PRODUCT_DEPTH;
        run.first = first == begin && !a->accumulate;
        fs_product_chunk(&run, n1, first, count);
        for (run.column = column_lo; run.column < column_hi; run.column += FS_PRODUCT_COLUMNS) {
            int64_t left = (a->n - run.column + FS_PANEL - 1) / FS_PANEL;
            int panels = left < 4 ? (int)left : 4;
            fs_product_pack(&run, n1, first, count, panels, packed, row_lo == 0 ? run.sums : NULL);
            int tile = 0;
            for (int64_t row = row_lo; row < row_hi;) {
                int64_t rows_left = row_hi - row;
                int n = fs_block_rows(rows_left < 1024 ? (int)rows_left : 1024, most_rows[panels]);
                int32_t at = (int32_t)row;
                /* The rows of b's next block come from memory while these are multiplied, one line of each for every
                   tile of c ((6400,256)' (6400,1024): 4% less time; (6400,128)' (6400,512): 10%). */
                int64_t next = run.column + FS_PRODUCT_COLUMNS + tile++ * FS_PANEL;
                run.ahead = next < run.column + 2 * FS_PRODUCT_COLUMNS && next < column_hi ? next : -1;
                for (int64_t lane = 0; lane < FS_PANEL; lane += VLEN)
                    tables[panels][n](&run, &at, lane);
                row += n;
            }
        }
    }
}

static int fs_product_tn(const fs_product_tn_args *a, const fs_share *share)
{
    const int64_t parts = fs_product_parts(a);
    for (int64_t at = share->row_lo; at < share->row_hi;) {
        const int64_t split = at / parts, next = (split + 1) * parts;
        const int64_t end = next < share->row_hi ? next : share->row_hi;
        fs_product_parts_of(a, split, at - split * parts, end - split * parts);
        at = end;
    }
    return 0;
}
