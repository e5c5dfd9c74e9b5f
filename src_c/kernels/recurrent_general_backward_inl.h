/* Back through time for recurrent_general: activations over a whole row of units, and dropout factors of the state for
   each gate. Threads own rows.

   A step has, row by row, the gradients of the gates' sums, from the sums that the trace kept; then, for blocks of
   rows, the product that takes them to the state before, gate by gate: a gate's part has factors of its own. A lane of
   it adds k = 0, 1, 2 ... in order: a row has the same bits alone or in a batch and on any number of threads. */

enum { FS_GENERAL_DH, FS_GENERAL_DC, FS_GENERAL_VALUES, FS_GENERAL_D = 8, FS_GENERAL_ROOM };

typedef struct {
    const fs_recurrent_general_backward_args *a;
    int64_t width, step, gates, dz_gates, kept; /* gates: of the recurrent kernel; kept: rows of a step's trace */
    const float *act, *rec;

    /* The product that runs: of gates [first, last), to the gradient of h or, FS_GENERAL_DC, to that of r * h. */
    int64_t first, last;
    int to, adds;
} fs_general_back;

/* What a row has to itself: the gradients of h and c (of r * h in a GRU that resets before), four gates' values, an
   LSTM's c and its activation, a gradient on its way, and three more for activations over a row. */
FS_INLINE float *fs_general_own(const fs_general_back *s, int64_t row, int which)
{
    return s->a->scratch + (row * FS_GENERAL_BACKWARD_SCRATCH + which) * s->width;
}
FS_INLINE float *fs_general_dz(const fs_general_back *s, int64_t row)
{
    return s->a->dz + row * s->a->dz_row + s->step * s->a->dz_time;
}
/* h before the step, null for zeros. */
FS_INLINE const float *fs_general_before(const fs_general_back *s, int64_t row)
{
    const fs_recurrent_general_backward_args *a = s->a;
    if (s->step == 0)
        return a->h0 ? a->h0 + row * a->units : NULL;
    return a->h + row * a->h_row + (s->step - 1) * a->h_time;
}
FS_INLINE const float *fs_general_factors(const fs_general_back *s, int64_t row, int64_t gate)
{
    const fs_recurrent_general_backward_args *a = s->a;
    return a->h_dropout ? a->h_dropout + ((a->h_masks > 1 ? gate : 0) * a->batch + row) * a->units : NULL;
}

/* ---- the product ---- */

/* G panels from `block` on, which stand in one group of up to four; a block is one vector of a panel. */
FS_INLINE void fs_general_back_block(fs_general_back *s, const int32_t *rows, int64_t block, const int R, const int G)
{
    int64_t H = s->a->units, panel = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN, group = panel / 4 * 4;
    int64_t panels = s->width / FS_PANEL, beside = panels - group < 4 ? panels - group : 4;
    int64_t apart = beside * FS_PANEL, unit = panel * FS_PANEL + lane;
    const fs_weight *w = s->a->w_h;
    w += group * FS_PANEL * s->gates * H + (panel - group) * FS_PANEL + lane;
    fs_sums total;
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int j = 0; j < G; j++) total[r][j] = v_zero();
    }
    for (int64_t gate = s->first; gate < s->last; gate++) {
        /* A GRU that resets after the product: the candidate's recurrent sum stands behind its own. */
        int64_t at = gate == 2 && s->a->cell == FS_CELL_GRU ? 3 : gate;
        const float *dz[FS_MOST_ROWS];
        fs_sums acc;
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            FS_UNROLL for (int j = 0; j < G; j++) acc[r][j] = v_zero();
            dz[r] = fs_general_dz(s, rows[r]) + at * H;
        }
        fs_accumulate(acc, dz, w + gate * H * apart, H, apart, (fs_ahead){NULL, 0}, R, G);
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            const float *factors = fs_general_factors(s, rows[r], gate);
            FS_UNROLL for (int j = 0; j < G; j++)
            {
                vf factor = factors ? fs_load_units(factors, unit + j * FS_PANEL, H) : v_set1(1.0f);
                total[r][j] = v_fma(acc[r][j], factor, total[r][j]);
            }
        }
    }
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *to = fs_general_own(s, rows[r], s->to) + unit;
        FS_UNROLL for (int j = 0; j < G; j++)
            v_store(to + j * FS_PANEL, s->adds ? v_add(total[r][j], v_load(to + j * FS_PANEL)) : total[r][j]);
    }
}
#define FS_GENERAL_BACK_PANELS(G, by_rows)                                                                             \
    FS_INLINE void fs_general_back_##G(fs_general_back *s, const int32_t *rows, int64_t block, const int R)            \
    {                                                                                                                  \
        fs_general_back_block(s, rows, block, R, G);                                                                   \
    }                                                                                                                  \
    by_rows(fs_general_back_##G, fs_general_back)
FS_GENERAL_BACK_PANELS(1, FS_BY_ROWS_8)
FS_GENERAL_BACK_PANELS(2, FS_BY_ROWS_6)
FS_GENERAL_BACK_PANELS(3, FS_BY_ROWS_OF_3)
FS_GENERAL_BACK_PANELS(4, FS_BY_ROWS_6)

static void fs_general_back_product(fs_general_back *s, const int32_t *rows, int count)
{
    static void (*const *const tables[])(fs_general_back *, const int32_t *, int64_t) = {
        0, fs_general_back_1_table, fs_general_back_2_table, fs_general_back_3_table, fs_general_back_4_table};
    static const int most_rows[] = {0, 8, 6, FS_ROWS_3, 6};
    int64_t panels = s->width / FS_PANEL;
    for (int64_t lo = 0; lo < panels; lo += 4) {
        int beside = panels - lo < 4 ? (int)(panels - lo) : 4;
        for (int64_t block = lo * FS_VECTORS; block < (lo + 1) * FS_VECTORS; block++)
            for (int done = 0; done < count;) {
                int n = fs_block_rows(count - done, most_rows[beside]);
                tables[beside][n](s, rows + done, block);
                done += n;
            }
    }
}

/* ---- a step of one row ---- */

/* dz = d times the slope of the activation at `sums`, where its value is `value`. */
static void fs_general_slope(const fs_general_back *s, int64_t kind, const float *p, const float *sums,
                             const float *value, const float *d, float *dz, float *room)
{
    int64_t H = s->a->units;
    if (kind >= FS_ACT_FIRST_ROWWISE) {
        fs_row_backward((int)kind, sums, value, d, dz, H, 1, room);
        return;
    }
    int from_value = kind == FS_ACT_TANH || kind == FS_ACT_SIGMOID;
    for (int64_t u = 0; u < H; u += VLEN) {
        vf slope = from_value ? fs_vslope_of_value((int)kind, fs_load_units(value, u, H))
                              : fs_vslope((int)kind, fs_load_units(sums, u, H), p);
        fs_store_units(dz, u, H, v_mul(fs_load_units(d, u, H), slope));
    }
}

static void fs_general_value(const fs_general_back *s, int64_t kind, const float *p, const float *sums, float *value,
                             float *room)
{
    if (kind >= FS_ACT_FIRST_ROWWISE)
        fs_row_apply((int)kind, value, sums, s->a->units, room);
    else
        fs_act_array((int)kind, p, value, sums, s->a->units);
}

static void fs_general_lstm_back(const fs_general_back *s, int64_t row, const float *kept, float *dz)
{
    const fs_recurrent_general_backward_args *a = s->a;
    int64_t H = a->units, rec = a->recurrent_activation, act = a->activation;
    float *dh = fs_general_own(s, row, FS_GENERAL_DH), *dc = fs_general_own(s, row, FS_GENERAL_DC);
    float *in = fs_general_own(s, row, FS_GENERAL_VALUES), *forget = in + s->width, *candidate = forget + s->width;
    float *out = candidate + s->width, *c = out + s->width, *after = c + s->width;
    float *d = fs_general_own(s, row, FS_GENERAL_D), *room = fs_general_own(s, row, FS_GENERAL_ROOM);
    const float *before = kept + 4 * H;
    fs_general_value(s, rec, s->rec, kept, in, room);
    fs_general_value(s, rec, s->rec, kept + H, forget, room);
    fs_general_value(s, act, s->act, kept + 2 * H, candidate, room);
    fs_general_value(s, rec, s->rec, kept + 3 * H, out, room);
    for (int64_t u = 0; u < H; u++)
        c[u] = forget[u] * before[u] + in[u] * candidate[u];
    fs_general_value(s, act, s->act, c, after, room);
    for (int64_t u = 0; u < H; u++)
        d[u] = dh[u] * after[u];
    fs_general_slope(s, rec, s->rec, kept + 3 * H, out, d, dz + 3 * H, room);
    for (int64_t u = 0; u < H; u++)
        d[u] = dh[u] * out[u];
    /* dh is needed no more: the product writes it anew. */
    fs_general_slope(s, act, s->act, c, after, d, dh, room);
    for (int64_t u = 0; u < H; u++) {
        dc[u] += dh[u];
        d[u] = dc[u] * candidate[u];
    }
    fs_general_slope(s, rec, s->rec, kept, in, d, dz, room);
    for (int64_t u = 0; u < H; u++)
        d[u] = dc[u] * before[u];
    fs_general_slope(s, rec, s->rec, kept + H, forget, d, dz + H, room);
    for (int64_t u = 0; u < H; u++)
        d[u] = dc[u] * in[u];
    fs_general_slope(s, act, s->act, kept + 2 * H, candidate, d, dz + 2 * H, room);
    for (int64_t u = 0; u < H; u++)
        dc[u] *= forget[u];
}

/* z and the candidate; of a GRU that resets after the product r and the candidate's recurrent sum, too. */
static void fs_general_gru_back(const fs_general_back *s, int64_t row, const float *kept, float *dz)
{
    const fs_recurrent_general_backward_args *a = s->a;
    int64_t H = a->units;
    float *dh = fs_general_own(s, row, FS_GENERAL_DH);
    float *z = fs_general_own(s, row, FS_GENERAL_VALUES), *r = z + s->width, *candidate = r + s->width;
    float *d = fs_general_own(s, row, FS_GENERAL_D), *room = fs_general_own(s, row, FS_GENERAL_ROOM);
    const float *before = fs_general_before(s, row);
    fs_general_value(s, a->recurrent_activation, s->rec, kept, z, room);
    fs_general_value(s, a->recurrent_activation, s->rec, kept + H, r, room);
    fs_general_value(s, a->activation, s->act, kept + 2 * H, candidate, room);
    for (int64_t u = 0; u < H; u++)
        d[u] = dh[u] * ((before ? before[u] : 0.0f) - candidate[u]);
    fs_general_slope(s, a->recurrent_activation, s->rec, kept, z, d, dz, room);
    for (int64_t u = 0; u < H; u++) {
        d[u] = dh[u] * (1.0f - z[u]);
        dh[u] *= z[u];
    }
    fs_general_slope(s, a->activation, s->act, kept + 2 * H, candidate, d, dz + 2 * H, room);
    if (a->cell != FS_CELL_GRU)
        return;
    const float *inner = kept + 3 * H;
    for (int64_t u = 0; u < H; u++) {
        d[u] = dz[2 * H + u] * inner[u];
        dz[3 * H + u] = dz[2 * H + u] * r[u];
    }
    fs_general_slope(s, a->recurrent_activation, s->rec, kept + H, r, d, dz + H, room);
}

/* r of a GRU that resets before the product, from the gradient of r * h that the candidate's product gave. */
static void fs_general_reset_back(const fs_general_back *s, int64_t row, const float *kept, float *dz)
{
    const fs_recurrent_general_backward_args *a = s->a;
    int64_t H = a->units;
    float *dh = fs_general_own(s, row, FS_GENERAL_DH), *d_product = fs_general_own(s, row, FS_GENERAL_DC);
    float *r = fs_general_own(s, row, FS_GENERAL_VALUES + 1), *d = fs_general_own(s, row, FS_GENERAL_D);
    const float *before = fs_general_before(s, row), *factors = fs_general_factors(s, row, 2);
    float *reset_h = a->reset_h ? a->reset_h + (row * a->timesteps + s->step) * H : NULL;
    for (int64_t u = 0; u < H; u++) {
        float h = before ? before[u] : 0.0f;
        d[u] = d_product[u] * h;
        dh[u] += d_product[u] * r[u];
        if (reset_h)
            reset_h[u] = r[u] * h * (factors ? factors[u] : 1.0f);
    }
    fs_general_slope(s, a->recurrent_activation, s->rec, kept + H, r, d, dz + H,
                     fs_general_own(s, row, FS_GENERAL_ROOM));
}

/* The gradients of the row's sums, all that the step's last product needs or, phase 0, its first one. */
static void fs_general_back_step(const fs_general_back *s, int64_t row, int phase)
{
    const fs_recurrent_general_backward_args *a = s->a;
    const float *kept = a->trace + (row * a->timesteps + s->step) * s->kept * a->units;
    float *dz = fs_general_dz(s, row), *dh = fs_general_own(s, row, FS_GENERAL_DH);
    if (phase == 1) {
        fs_general_reset_back(s, row, kept, dz);
        return;
    }
    if (a->dy && (a->sequences || s->step == a->timesteps - 1)) {
        const float *dy = a->dy + row * a->dy_row + (a->sequences ? s->step * a->dy_time : 0);
        for (int64_t u = 0; u < a->units; u++)
            dh[u] += dy[u];
    }
    if (a->cell == FS_CELL_LSTM) {
        fs_general_lstm_back(s, row, kept, dz);
    } else if (a->cell == FS_CELL_SIMPLE_RNN) {
        float *value = fs_general_own(s, row, FS_GENERAL_VALUES), *room = fs_general_own(s, row, FS_GENERAL_ROOM);
        fs_general_value(s, a->activation, s->act, kept, value, room);
        fs_general_slope(s, a->activation, s->act, kept, value, dh, dz, room);
    } else {
        fs_general_gru_back(s, row, kept, dz);
    }
}

/* A masked row passes its gradients on: its sums got none, and its output was the last one, h, unless no step had
   passed. */
static void fs_general_back_masked(const fs_general_back *s, int64_t row, int seen)
{
    const fs_recurrent_general_backward_args *a = s->a;
    float *dz = fs_general_dz(s, row), *dh = fs_general_own(s, row, FS_GENERAL_DH);
    for (int64_t i = 0; i < s->dz_gates * a->units; i++)
        dz[i] = 0.0f;
    if (a->reset_h)
        __builtin_memset(a->reset_h + (row * a->timesteps + s->step) * a->units, 0, (size_t)a->units * sizeof(float));
    if (!seen || a->zero_masked || !a->dy || (!a->sequences && s->step != a->timesteps - 1))
        return;
    const float *dy = a->dy + row * a->dy_row + (a->sequences ? s->step * a->dy_time : 0);
    for (int64_t u = 0; u < a->units; u++)
        dh[u] += dy[u];
}

/* ---- the walk ---- */

/* All timesteps of rows [lo, hi), at most FS_MOST_LISTED of them; 0 where the step is to stop. */
static int fs_general_back_rows(fs_general_back *s, const fs_share *share, int64_t lo, int64_t hi, double *unlooked)
{
    const fs_recurrent_general_backward_args *a = s->a;
    int64_t H = a->units, first_active[FS_MOST_LISTED];
    int32_t list[FS_MOST_LISTED];
    int phases = a->cell == FS_CELL_GRU_RESET_BEFORE ? 2 : 1;
    for (int64_t row = lo; row < hi; row++) {
        int64_t step = 0;
        while (a->mask && step < a->timesteps && !a->mask[row * a->mask_row + step * a->mask_time])
            step++;
        first_active[row - lo] = step;
        fs_load_state(fs_general_own(s, row, FS_GENERAL_DH), a->dhn ? a->dhn + row * H : NULL, 0, H, s->width);
        fs_load_state(fs_general_own(s, row, FS_GENERAL_DC), a->dcn ? a->dcn + row * H : NULL, 0, H, s->width);
    }
    for (s->step = a->timesteps - 1; s->step >= 0; s->step--) {
        int count = 0;
        for (int64_t row = lo; row < hi; row++)
            if (a->mask == NULL || a->mask[row * a->mask_row + s->step * a->mask_time])
                list[count++] = (int32_t)row;
            else
                fs_general_back_masked(s, row, s->step > first_active[row - lo]);
        for (int phase = 0; phase < phases; phase++) {
            int last = phase == phases - 1;
            for (int i = 0; i < count; i++)
                fs_general_back_step(s, list[i], phase);
            /* Nobody may want the gradient of the first state. */
            if (last && s->step == 0 && a->dh0 == NULL)
                continue;
            s->to = last ? FS_GENERAL_DH : FS_GENERAL_DC;
            s->first = last ? 0 : 2;
            s->last = last && phases == 2 ? 2 : s->gates;
            s->adds = last && s->gates == 3; /* to what h itself passes on */
            fs_general_back_product(s, list, count);
        }
        if (FS_STOPS(share, unlooked, (double)(count * s->gates) * (double)(H + 16) * (double)s->width))
            return 0;
    }
    for (int64_t row = lo; row < hi; row++) {
        if (a->dh0)
            fs_copy_units(a->dh0 + row * H, fs_general_own(s, row, FS_GENERAL_DH), 0, H);
        if (a->dc0)
            fs_copy_units(a->dc0 + row * H, fs_general_own(s, row, FS_GENERAL_DC), 0, H);
    }
    return 1;
}

static int fs_recurrent_general_backward(const fs_recurrent_general_backward_args *a, const fs_share *share)
{
    const float act[3] = {a->a0, a->a1, a->a2}, rec[3] = {a->r0, a->r1, a->r2};
    fs_general_back s = {
        .a = a,
        .width = (a->units + FS_PANEL - 1) / FS_PANEL * FS_PANEL,
        .gates = a->cell == FS_CELL_LSTM ? 4 : a->cell == FS_CELL_SIMPLE_RNN ? 1 : 3,
        .kept = fs_general_kept(a->cell),
        .act = act,
        .rec = rec,
    };
    s.dz_gates = a->cell == FS_CELL_GRU ? 4 : s.gates;
    double unlooked = 0;
    int64_t group = fs_back_row_group(a->units, s.gates, W_BYTES);
    for (int64_t row = share->row_lo; row < share->row_hi; row += group) {
        int64_t end = share->row_hi - row < group ? share->row_hi : row + group;
        if (!fs_general_back_rows(&s, share, row, end, &unlooked))
            return 0;
    }
    return 0;
}
