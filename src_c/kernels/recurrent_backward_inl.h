/* Backpropagation through time, for all cells: the walk back over the steps, masks, and the product that takes the
   gradient of a step's sums to the state before it. A cell brings what it does element by element.

   A step has, for each phase of its cell: the gradients of some gates' sums, unit by unit, from the trace and from the
   gradient of h; then a product of all units' with the transposed recurrent kernel. Threads that own units meet between
   the two. Every lane of a product adds a gate's k = 0, 1, 2 ... in order, from zero, and then the gates' sums in their
   order: a row has the same bits alone or in a batch and on any number of threads. */

typedef struct fs_back_run {
    const fs_recurrent_backward_args *a;
    float *dh;      /* (B, W) gradient of h: after the step, then before it */
    float *dc;      /* (B, W) of an LSTM's c; of r * h in a GRU that resets before the product */
    int64_t width, step;
    float act[3], rec[3];
    int values; /* what the trace kept of the gates, see fs_keeps_values */
    double unlooked;

    /* The product that runs: to (B, W) = or += some gates of each row's dz, which begin at gate_at, times w. */
    const fs_weight *w;
    float *to;
    int64_t gate_at[4];
    int gates, adds;
    const float *fetch, *fetch_end; /* the trace of the step that comes next, which the product has fetched meanwhile */
} fs_back_run;

/* Gradients of the sums of units [lo, hi) of the listed rows. */
typedef void (*fs_back_units_fn)(const fs_back_run *, const int32_t *rows, int count, int64_t lo, int64_t hi);

typedef struct {
    fs_back_units_fn units[2];      /* by phase */
    int phase_count, gates, has_c;  /* gates: of dz */
    int unit_panels;                /* what the forward kernel pads its width to */
    int kept;                       /* vectors that the trace has of a panel */
} fs_cell_backward;

FS_INLINE float *fs_back_dz(const fs_back_run *s, int64_t row)
{
    return s->a->dz + row * s->a->dz_row + s->step * s->a->dz_time;
}
FS_INLINE vf fs_back_kept(const fs_back_run *s, int64_t row, int64_t unit, int n, int which)
{
    int64_t panel = (s->step * s->a->batch + row) * (s->width / FS_PANEL) + unit / FS_PANEL;
    return v_load(s->a->trace + (panel * n + which) * FS_PANEL + unit % FS_PANEL);
}

/* The gradient of the step's output, or null: without sequences only the last step has one. */
FS_INLINE const float *fs_back_dy(const fs_back_run *s, int64_t row)
{
    const fs_recurrent_backward_args *a = s->a;
    if (a->dy == NULL || (!a->sequences && s->step != a->timesteps - 1))
        return NULL;
    return a->dy + row * a->dy_row + (a->sequences ? s->step * a->dy_time : 0);
}
/* h after a step of the row, or before the first; null for zeros. */
FS_INLINE const float *fs_back_h(const fs_back_run *s, int64_t row, int64_t step)
{
    const fs_recurrent_backward_args *a = s->a;
    if (step < 0)
        return a->h0 ? a->h0 + row * a->units : NULL;
    return a->h + row * a->h_row + step * a->h_time;
}
FS_INLINE vf fs_load_if(const float *x, int64_t unit, int64_t units)
{
    return x ? fs_load_units(x, unit, units) : v_zero();
}

/* ---- the product ---- */

/* acc += the sums of N gates of one row from `first` on, side by side: a gate's G sums alone would wait for each other
   (LSTM (1,100,32,32): the product takes 20% less time). */
FS_INLINE void fs_back_beside(fs_sums acc, const fs_back_run *s, const float *dz, const fs_weight *w, int64_t apart,
                              const int first, const int N, const int G)
{
    int64_t units = s->a->units;
    fs_sums own;
    const float *x[4];
    w += first * units * apart;
    FS_UNROLL for (int n = 0; n < N; n++)
    {
        x[n] = dz + s->gate_at[first + n];
        FS_UNROLL for (int g = 0; g < G; g++) own[n][g] = v_zero();
    }
    for (int64_t k = 0; k < units; k++, w += apart) {
        FS_UNROLL for (int n = 0; n < N; n++)
        {
            vf value = v_bcast(x[n] + k);
            FS_UNROLL for (int g = 0; g < G; g++)
                own[n][g] = v_fma(value, w_load(w + n * units * apart + g * FS_PANEL), own[n][g]);
        }
    }
    FS_UNROLL for (int n = 0; n < N; n++)
    {
        FS_UNROLL for (int g = 0; g < G; g++) acc[0][g] = v_add(acc[0][g], own[n][g]);
    }
}
FS_INLINE void fs_back_row(fs_sums acc, const fs_back_run *s, const float *dz, const fs_weight *w, int64_t apart,
                           const int gates, const int G)
{
    FS_UNROLL for (int n = 0; n < gates; n += FS_MOST_BESIDE)
        fs_back_beside(acc, s, dz, w, apart, n, gates - n < FS_MOST_BESIDE ? gates - n : FS_MOST_BESIDE, G);
}

/* acc += the gates' sums of R rows, one gate after the other. */
FS_INLINE void fs_back_in_turn(fs_sums acc, fs_back_run *s, const int32_t *rows, const fs_weight *w, int64_t apart,
                               const int R, const int G)
{
    int64_t units = s->a->units;
    for (int n = 0; n < s->gates; n++, w += units * apart) {
        const float *dz[FS_MOST_ROWS];
        fs_sums own;
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            FS_UNROLL for (int g = 0; g < G; g++) own[r][g] = v_zero();
            dz[r] = fs_back_dz(s, rows[r]) + s->gate_at[n];
        }
        fs_ahead ahead = {NULL, 0};
        if (s->fetch < s->fetch_end) {
            ahead = (fs_ahead){(const char *)s->fetch, FS_PANEL * (int64_t)sizeof(float)};
            s->fetch += units * FS_PANEL;
        }
        fs_accumulate(own, dz, w, units, apart, ahead, R, G);
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_add(acc[r][g], own[r][g]);
        }
    }
}

/* G panels from `block` on, which stand in one group of up to four; a block is one vector of a panel. */
FS_INLINE void fs_back_block(fs_back_run *s, const int32_t *rows, int64_t block, const int R, const int G)
{
    int64_t panel = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN;
    int64_t group = panel / FS_GROUP_PANELS * FS_GROUP_PANELS;
    int64_t panels = (s->a->units + FS_PANEL - 1) / FS_PANEL, beside = fs_smaller(panels - group, FS_GROUP_PANELS);
    int64_t apart = beside * FS_PANEL, unit = panel * FS_PANEL + lane;
    const fs_weight *w = s->w + group * FS_PANEL * s->gates * s->a->units + (panel - group) * FS_PANEL + lane;
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_zero();
    }
    if (R == 1 && s->gates == 4)
        fs_back_row(acc, s, fs_back_dz(s, rows[0]), w, apart, 4, G);
    else if (R == 1 && s->gates == 3)
        fs_back_row(acc, s, fs_back_dz(s, rows[0]), w, apart, 3, G);
    else
        fs_back_in_turn(acc, s, rows, w, apart, R, G);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *to = s->to + rows[r] * s->width + unit;
        /* What is there already comes last: begun with it, every product would be rounded to its size. */
        FS_UNROLL for (int g = 0; g < G; g++)
            v_store(to + g * FS_PANEL, s->adds ? v_add(acc[r][g], v_load(to + g * FS_PANEL)) : acc[r][g]);
    }
}
#define FS_BACK_PANELS(G, by_rows)                                                                                     \
    FS_INLINE void fs_back_##G(fs_back_run *s, const int32_t *rows, int64_t block, const int R)                        \
    {                                                                                                                  \
        fs_back_block(s, rows, block, R, G);                                                                           \
    }                                                                                                                  \
    by_rows(fs_back_##G, fs_back_run)
FS_BACK_PANELS(1, FS_BY_ROWS_8)
FS_BACK_PANELS(2, FS_BY_ROWS_6)
FS_BACK_PANELS(3, FS_BY_ROWS_OF_3)
FS_BACK_PANELS(4, FS_BY_ROWS_6)

/* The listed rows times the columns of panels [lo, hi). */
static void fs_back_product(fs_back_run *s, const int32_t *rows, int count, int64_t lo, int64_t hi)
{
    static void (*const *const tables[])(fs_back_run *, const int32_t *, int64_t) = {
        0, fs_back_1_table, fs_back_2_table, fs_back_3_table, fs_back_4_table};
    static const int most_rows[] = {0, 8, 6, FS_ROWS_3, 6};
    while (lo < hi) {
        int64_t end = lo / 4 * 4 + 4 < hi ? lo / 4 * 4 + 4 : hi;
        int panels = (int)(end - lo);
        for (int64_t block = lo * FS_VECTORS; block < (lo + 1) * FS_VECTORS; block++)
            for (int done = 0; done < count;) {
                int n = fs_block_rows(count - done, most_rows[panels]);
                tables[panels][n](s, rows + done, block);
                done += n;
            }
        lo = end;
    }
}

/* The product of a phase: of the last one into the gradient of h, of a first one into that of r * h. */
static void fs_back_phase_product(fs_back_run *s, const fs_cell_backward *cell, int phase)
{
    int64_t units = s->a->units;
    if (cell->phase_count == 2 && phase == 0) { /* the candidate, the third gate */
        s->w = s->a->w_c;
        s->to = s->dc;
        s->gate_at[0] = 2 * units;
        s->gates = 1;
        s->adds = 0;
        return;
    }
    s->w = s->a->w_h;
    s->to = s->dh;
    s->gates = cell->phase_count == 2 ? 2 : cell->gates == 4 && !cell->has_c ? 3 : cell->gates;
    for (int n = 0; n < s->gates; n++)
        s->gate_at[n] = n * units;
    /* A GRU that resets after the product: the candidate's recurrent sum stands behind its own. */
    if (s->gates == 3)
        s->gate_at[2] = 3 * units;
    s->adds = cell->gates != 1 && !cell->has_c;
}

/* ---- the walk ---- */

/* A masked row passes its gradients on: its sums got none, and its output was the last one, h, unless no step had
   passed. */
static void fs_back_masked(const fs_back_run *s, const fs_cell_backward *cell, int64_t row, int seen, int64_t lo,
                           int64_t hi)
{
    const fs_recurrent_backward_args *a = s->a;
    const float *dy = seen && !a->zero_masked ? fs_back_dy(s, row) : NULL;
    float *dz = fs_back_dz(s, row);
    for (int64_t u = lo; u < hi && u < a->units; u++) {
        for (int g = 0; g < cell->gates; g++)
            dz[g * a->units + u] = 0.0f;
        if (dy)
            s->dh[row * s->width + u] += dy[u];
        if (a->reset_h)
            a->reset_h[(row * a->timesteps + s->step) * a->units + u] = 0.0f;
    }
}

/* All timesteps of the share's rows, at most FS_MOST_LISTED of them. 1 where it was told to stop. */
static int fs_back_rows(fs_back_run *s, const fs_share *share, const fs_cell_backward *cell)
{
    const fs_recurrent_backward_args *a = s->a;
    int64_t panel_lo = share->unit_lo, panel_hi = share->unit_hi;
    int64_t lo = panel_lo * FS_PANEL, padded = panel_hi * FS_PANEL, hi = padded < a->units ? padded : a->units;
    int64_t first_active[FS_MOST_LISTED];
    int32_t list[FS_MOST_LISTED];
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        int64_t step = 0;
        while (a->mask && step < a->timesteps && !a->mask[row * a->mask_row + step * a->mask_time])
            step++;
        first_active[row - share->row_lo] = step;
        fs_load_state(s->dh + row * s->width, a->dhn ? a->dhn + row * a->units : NULL, lo, hi, padded);
        if (cell->has_c)
            fs_load_state(s->dc + row * s->width, a->dcn ? a->dcn + row * a->units : NULL, lo, hi, padded);
    }
    for (s->step = a->timesteps - 1; s->step >= 0; s->step--) {
        int count = 0;
        for (int64_t row = share->row_lo; row < share->row_hi; row++)
            if (a->mask == NULL || a->mask[row * a->mask_row + s->step * a->mask_time])
                list[count++] = (int32_t)row;
            else
                fs_back_masked(s, cell, row, s->step > first_active[row - share->row_lo], lo, hi);
        for (int phase = 0; phase < cell->phase_count; phase++) {
            cell->units[phase](s, list, count, lo, padded);
            double work = (double)(count * cell->gates) * (double)(a->units + 16) * (double)(padded - lo);
            if (FS_STOPS(share, &s->unlooked, work)) {
                fs_leave(share);
                return 1;
            }
            if (share->barrier && fs_barrier_wait(share->barrier))
                return 1;
            /* Nobody may want the gradient of the first state. */
            if (s->step == 0 && a->dh0 == NULL && phase == cell->phase_count - 1)
                continue;
            fs_back_phase_product(s, cell, phase);
            s->fetch = s->fetch_end = NULL;
            if (s->step > 0 && a->trace && share->barrier == NULL && phase == cell->phase_count - 1) {
                /* LSTM (64,100,128,128) 10% less time, (64,100,256,256) 5%. */
                int64_t row_kept = s->width * cell->kept;
                s->fetch = a->trace + ((s->step - 1) * a->batch + share->row_lo) * row_kept;
                s->fetch_end = s->fetch + (share->row_hi - share->row_lo) * row_kept;
            }
            fs_back_product(s, list, count, panel_lo, panel_hi);
        }
    }
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        if (a->dh0)
            fs_copy_units(a->dh0 + row * a->units, s->dh + row * s->width, lo, hi);
        if (a->dc0 && cell->has_c)
            fs_copy_units(a->dc0 + row * a->units, s->dc + row * s->width, lo, hi);
    }
    return 0;
}

static int fs_back(const fs_recurrent_backward_args *a, const fs_share *share, const fs_cell_backward *cell)
{
    int64_t panels = (a->units + FS_PANEL - 1) / FS_PANEL;
    fs_back_run run = {
        .a = a,
        .width = (panels + cell->unit_panels - 1) / cell->unit_panels * cell->unit_panels * FS_PANEL,
        .act = {a->a0, a->a1, a->a2},
        .rec = {a->r0, a->r1, a->r2},
        .values = fs_keeps_values((int)a->activation, (int)a->recurrent_activation),
    };
    run.dh = a->scratch;
    run.dc = run.dh + a->batch * run.width;
    int64_t group = fs_back_row_group(a->units, cell->gates, W_BYTES);
    for (int64_t row = share->row_lo; row < share->row_hi; row += group) {
        fs_share part = *share;
        part.row_lo = row;
        part.row_hi = share->row_hi - row < group ? share->row_hi : row + group;
        if (fs_back_rows(&run, &part, cell))
            break;
    }
    return 0;
}

/* A cell's units function, from the inline name##_units(s, row, unit, activation, recurrent activation, values): with
   tanh and sigmoid in line. */
#define FS_BACK_UNITS(name)                                                                                            \
    static void name(const fs_back_run *s, const int32_t *rows, int count, int64_t lo, int64_t hi)                     \
    {                                                                                                                  \
        for (int i = 0; i < count; i++)                                                                                \
            for (int64_t unit = lo; unit < hi; unit += VLEN)                                                           \
                if (s->values)                                                                                         \
                    name##_units(s, rows[i], unit, FS_ACT_TANH, FS_ACT_SIGMOID, 1);                                    \
                else                                                                                                   \
                    name##_units(s, rows[i], unit, (int)s->a->activation, (int)s->a->recurrent_activation, 0);         \
    }
