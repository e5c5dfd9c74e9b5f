/* y = activation(x w + bias), for any number of rows. */

typedef struct {
    const fs_dense_args *a;
    float p[3];
} fs_dense_run;

/* ---- up to 4 panels side by side, rows in registers ---- */

/* What is not in line in the blocks, that is every activation but linear and relu. The sums come through memory. */
static __attribute__((noinline)) void fs_dense_any(const fs_dense_run *c, const int32_t *rows, int64_t unit,
                                                   fs_sums sums, int R, int G)
{
    const fs_dense_args *a = c->a;
    for (int r = 0; r < R; r++)
        for (int g = 0; g < G; g++)
            fs_store_units(a->y + rows[r] * a->y_stride, unit + g * FS_PANEL, a->units,
                           v_one_nan(fs_vact((int)a->activation, sums[r][g], c->p)));
}

/* G panels of a group, which has FS_GROUP_PANELS of them, the last one what is left. A block is one vector of each
   panel, so a group holds FS_VECTORS of them. */
FS_INLINE void fs_dense_block(fs_dense_run *c, const int32_t *rows, int64_t block, const int R, const int G)
{
    const fs_dense_args *a = c->a;
    int64_t group = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN;
    int64_t unit = group * FS_GROUP_PANELS * FS_PANEL + lane;
    const fs_weight *w = (const fs_weight *)a->w + group * FS_GROUP_PANELS * FS_PANEL * a->inputs + lane;
    const float *x[FS_MOST_ROWS];
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        x[r] = a->x + rows[r] * a->x_stride;
        FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_load(a->bias + unit + g * FS_PANEL);
    }
    fs_accumulate(acc, x, w, a->inputs, G * FS_PANEL, (fs_ahead){NULL, 0}, R, G);
    int relu = a->activation == FS_ACT_RELU && fs_relu_is_plain(c->p);
    if (relu || a->activation == FS_ACT_LINEAR) {
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            float *y = a->y + rows[r] * a->y_stride;
            FS_UNROLL for (int g = 0; g < G; g++)
                fs_store_units(y, unit + g * FS_PANEL, a->units,
                               v_one_nan(relu ? v_max(v_zero(), acc[r][g]) : acc[r][g]));
        }
        return;
    }
    fs_sums sums;
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < G; g++) sums[r][g] = acc[r][g];
    }
    fs_dense_any(c, rows, unit, sums, R, G);
}

#define FS_DENSE_PANELS(G, most)                                                                                       \
    FS_INLINE void fs_dense_##G(fs_dense_run *c, const int32_t *rows, int64_t block, const int R)                      \
    {                                                                                                                  \
        fs_dense_block(c, rows, block, R, G);                                                                          \
    }                                                                                                                  \
    most(fs_dense_##G, fs_dense_run)
FS_DENSE_PANELS(1, FS_BY_ROWS_6)
FS_DENSE_PANELS(2, FS_BY_ROWS_6)
FS_DENSE_PANELS(3, FS_BY_ROWS_OF_3)
FS_DENSE_PANELS(4, FS_BY_ROWS_6)

/* `count` listed rows through one group of panels. */
static void fs_dense_group(fs_dense_run *run, int64_t group, const int32_t *rows, int count)
{
    static void (*const *const tables[])(fs_dense_run *, const int32_t *, int64_t) = {
        0, fs_dense_1_table, fs_dense_2_table, fs_dense_3_table, fs_dense_4_table};
    static const int most_rows[] = {0, 6, 6, FS_ROWS_3, 6};
    int64_t left = (run->a->units + FS_PANEL - 1) / FS_PANEL - group * FS_GROUP_PANELS;
    int panels = left < FS_GROUP_PANELS ? (int)left : FS_GROUP_PANELS;
    for (int64_t block = group * FS_VECTORS; block < (group + 1) * FS_VECTORS; block++)
        for (int done = 0; done < count;) {
            int n = fs_block_rows(count - done, most_rows[panels]);
            tables[panels][n](run, rows + done, block);
            done += n;
        }
}

/* ---- one panel, weights in registers ---- */

/* With one panel there is one sum for each row, too few to keep the multipliers busy, and a broadcast for every
   product. So here the weights of some k stay in registers while all rows pass: (1000, 64, 16, 8): 230 -> 140 us. */
#if FS_REGISTERS == 32
#define FS_DENSE_DEPTH 16
#else
#define FS_DENSE_DEPTH 8
#endif

/* Whether a lane is infinite or NaN. */
FS_INLINE int fs_is_odd(vf a)
{
    float lanes[VLEN] __attribute__((aligned(64)));
    v_store(lanes, v_sub(a, a));
    int odd = 0;
    for (int i = 0; i < VLEN; i++)
        odd |= lanes[i] != 0.0f;
    return odd;
}

/* to (rows, to_apart) = from (rows, from_apart) + x (rows, x_apart)[:, :K] w (K, 16): one vector of units, of which
   `lanes` are stored. */
FS_INLINE void fs_dense_deep(const float *x, int64_t x_apart, const fs_weight *w, const float *from,
                             int64_t from_apart, float *to, int64_t to_apart, int lanes, int64_t rows, const int K)
{
    vf weights[FS_DENSE_DEPTH];
    FS_UNROLL for (int k = 0; k < K; k++)
    {
        weights[k] = w_load(w + k * FS_PANEL);
        V_IN_REGISTER(weights[k]);
    }
    vf all = v_zero();
    for (int64_t row = 0; row < rows; row++) {
        vf sum = v_load(from + row * from_apart);
        FS_UNROLL for (int k = 0; k < K; k++) sum = v_fma(v_bcast(x + row * x_apart + k), weights[k], sum);
        all = v_add(all, sum);
        if (lanes == VLEN)
            v_store(to + row * to_apart, sum);
        else
            v_store_part(to + row * to_apart, lanes, sum);
    }
    /* A row is too little work for v_one_nan (8 units: 13% more time), so a sum of all rows tells whether it is wanted.
       */
    if (fs_is_odd(all))
        for (int64_t row = 0; row < rows; row++) {
            float *y = to + row * to_apart;
            v_store_part(y, lanes, v_one_nan(v_load_part(y, lanes)));
        }
}
#define FS_DENSE_DEEP(K)                                                                                               \
    static __attribute__((noinline)) void fs_dense_deep_##K(                                                           \
        const float *x, int64_t x_apart, const fs_weight *w, const float *from, int64_t from_apart, float *to,         \
        int64_t to_apart, int lanes, int64_t rows)                                                                     \
    {                                                                                                                  \
        fs_dense_deep(x, x_apart, w, from, from_apart, to, to_apart, lanes, rows, K);                                  \
    }
FS_DENSE_DEEP(1) FS_DENSE_DEEP(2) FS_DENSE_DEEP(3) FS_DENSE_DEEP(4)
FS_DENSE_DEEP(5) FS_DENSE_DEEP(6) FS_DENSE_DEEP(7) FS_DENSE_DEEP(8)
#if FS_DENSE_DEPTH == 16
FS_DENSE_DEEP(9) FS_DENSE_DEEP(10) FS_DENSE_DEEP(11) FS_DENSE_DEEP(12)
FS_DENSE_DEEP(13) FS_DENSE_DEEP(14) FS_DENSE_DEEP(15) FS_DENSE_DEEP(16)
#endif

/* Rows [first, first + count) through the only panel; before the activation they lie in `sums`. */
static void fs_dense_panel(fs_dense_run *run, int64_t first, int count, float *sums)
{
    static void (*const deep[])(const float *, int64_t, const fs_weight *, const float *, int64_t, float *, int64_t,
                                int, int64_t) = {
        0, fs_dense_deep_1, fs_dense_deep_2, fs_dense_deep_3, fs_dense_deep_4, fs_dense_deep_5, fs_dense_deep_6,
        fs_dense_deep_7, fs_dense_deep_8,
#if FS_DENSE_DEPTH == 16
        fs_dense_deep_9, fs_dense_deep_10, fs_dense_deep_11, fs_dense_deep_12, fs_dense_deep_13, fs_dense_deep_14,
        fs_dense_deep_15, fs_dense_deep_16,
#endif
    };
    const fs_dense_args *a = run->a;
    const float *x = a->x + first * a->x_stride;
    const fs_weight *w = a->w;
    float *y = a->y + first * a->y_stride;
    for (int lane = 0; lane < a->units; lane += VLEN) {
        int lanes = a->units - lane < VLEN ? (int)(a->units - lane) : VLEN;
        const float *from = a->bias + lane;
        int64_t from_apart = 0;
        for (int64_t k = 0; k < a->inputs; k += FS_DENSE_DEPTH) {
            int last = a->inputs - k <= FS_DENSE_DEPTH, direct = last && a->activation == FS_ACT_LINEAR;
            deep[last ? a->inputs - k : FS_DENSE_DEPTH](
                x + k, a->x_stride, w + k * FS_PANEL + lane, from, from_apart, direct ? y + lane : sums,
                direct ? a->y_stride : VLEN, direct ? lanes : VLEN, count);
            from = sums;
            from_apart = VLEN;
        }
        if (a->activation != FS_ACT_LINEAR)
            for (int row = 0; row < count; row++)
                v_store_part(y + row * a->y_stride + lane, lanes,
                             v_one_nan(fs_vact((int)a->activation, v_load(sums + row * VLEN), run->p)));
    }
}

/* Rows of x that stay in L1 while a group of panels passes over them. */
#define FS_DENSE_ROWS 48

static int fs_dense(const fs_dense_args *a, const fs_share *share)
{
    fs_dense_run run = {a, {a->p0, a->p1, a->p2}};
    float sums[FS_DENSE_ROWS * VLEN] __attribute__((aligned(64)));
    int32_t rows[FS_DENSE_ROWS];
    int one_panel = a->units <= FS_PANEL && a->inputs > 0 && share->row_hi - share->row_lo >= 8;
    double unlooked = 0;
    for (int64_t first = share->row_lo; first < share->row_hi; first += FS_DENSE_ROWS) {
        int count = share->row_hi - first < FS_DENSE_ROWS ? (int)(share->row_hi - first) : FS_DENSE_ROWS;
        for (int i = 0; i < count; i++)
            rows[i] = (int32_t)(first + i);
        for (int64_t group = share->unit_lo; group < share->unit_hi; group++) {
            if (one_panel)
                fs_dense_panel(&run, first, count, sums);
            else
                fs_dense_group(&run, group, rows, count);
            if (FS_STOPS(share, &unlooked, (double)(a->inputs + 16) * (double)(count * FS_GROUP_PANELS * FS_PANEL))) {
                fs_leave(share);
                return 0;
            }
        }
        if (a->softmax && share->barrier == NULL)
            for (int row = 0; row < count; row++)
                fs_row_softmax(a->y + (first + row) * a->y_stride, a->y + (first + row) * a->y_stride, a->units);
    }
    /* Threads that own units: the rows are whole when all have come, and few. */
    if (a->softmax && share->barrier) {
        if (fs_barrier_wait(share->barrier))
            return 0;
        for (int64_t row = share->row_lo; row < share->row_hi && share->unit_lo == 0; row++)
            fs_row_softmax(a->y + row * a->y_stride, a->y + row * a->y_stride, a->units);
    }
    return 0;
}
