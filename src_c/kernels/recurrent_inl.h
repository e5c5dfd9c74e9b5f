/* What the recurrent kernels share: the walk over time, rows and panels, masks, states in and out, hoisted input sums.
   A cell brings one function per number of rows and phase. */

/* One thread's view of a running recurrence. W = width, panels in floats. */
typedef struct {
    const fs_recurrent_args *a;
    float *h;       /* (B, 2, W): a row's state now and next; which is which, its parity tells */
    float *kept;    /* (B, W) c of an LSTM; (B, 2, W) z and r * h of a GRU that resets before the product */
    float *sums;    /* (hoisted timesteps, B, blocks, sum_gates, VLEN) bias + x w */
    uint8_t *flags; /* (B,) */
    int64_t width, blocks, sum_gates;
    int64_t step, first_hoisted;
    int hoisted;
    float act[3], rec[3];
} fs_run_state;

enum { FS_PARITY = 1, FS_SEEN = 2 }; /* flags: which half of h is now; an unmasked step has passed */

typedef void (*fs_block_fn)(const fs_run_state *, const int32_t *rows, int64_t block);

/* What a cell brings: functions by number of rows, and its measures. */
typedef struct {
    const fs_block_fn *sums; /* x product of (timestep, row) pairs into `sums` */
    const fs_block_fn *phases[2];
    int phase_count;
    int gates;        /* of w_x, and vectors a block owns in `sums` */
    int block_panels; /* panels in a block: 1, or 4 where one gate stands for four panels */
    int has_c;        /* `kept` is a state that comes in as c0 and goes out as cn */
} fs_cell_kernel;

FS_INLINE float *fs_h_now(const fs_run_state *s, int32_t row)
{
    return s->h + (row * 2 + (s->flags[row] & FS_PARITY)) * s->width;
}
FS_INLINE float *fs_h_next(const fs_run_state *s, int32_t row)
{
    return s->h + (row * 2 + !(s->flags[row] & FS_PARITY)) * s->width;
}
FS_INLINE const float *fs_x_at(const fs_run_state *s, int32_t row, int64_t step)
{
    return s->a->x + row * s->a->x_row + step * s->a->x_time;
}
FS_INLINE float *fs_sums_at(const fs_run_state *s, int32_t row, int64_t step, int64_t block)
{
    int64_t pair = (step - s->first_hoisted) * s->a->batch + row;
    return s->sums + (pair * s->blocks + block) * s->sum_gates * VLEN;
}
FS_INLINE int fs_active(const fs_recurrent_args *a, int64_t row, int64_t step)
{
    return a->mask == NULL || a->mask[row * a->mask_row + step * a->mask_time];
}

/* True in the first step from no given state: zeros times finite weights add nothing to any gate's sum, so a gated cell
   leaves the product out, half the work of a call with one step. (Not SimpleRNN: -0 would come out as -0, not as 0.) */
FS_INLINE int fs_from_zeros(const fs_run_state *s)
{
    return s->step == 0 && s->a->h0 == NULL && s->a->finite_kernel;
}

/* Accumulators of R rows before the recurrent product: hoisted sums, or bias and the x product. G gates of x. */
FS_INLINE void fs_start_block(const fs_run_state *s, const int32_t *rows, int64_t block, vf acc[FS_ROWS][4], const int R,
                              const int G)
{
    if (s->hoisted) {
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            const float *sums = fs_sums_at(s, rows[r], s->step, block);
            FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_load(sums + g * VLEN);
        }
        return;
    }
    const fs_recurrent_args *a = s->a;
    int64_t panel = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN;
    const float *x[FS_ROWS];
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        x[r] = fs_x_at(s, rows[r], s->step);
        FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_load(a->bias + (panel * 4 + g) * FS_PANEL + lane);
    }
    fs_accumulate(acc, x, a->w_x + panel * a->inputs * G * FS_PANEL + lane, a->inputs, G * FS_PANEL, R, G);
}

/* The same for hoisting: rows[] holds timestep * B + row. */
FS_INLINE void fs_sum_block(const fs_run_state *s, const int32_t *pairs, int64_t block, const int R, const int G)
{
    const fs_recurrent_args *a = s->a;
    int64_t panel = block / FS_VECTORS, lane = block % FS_VECTORS * VLEN;
    const float *x[FS_ROWS];
    vf acc[FS_ROWS][4];
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        int64_t step = s->first_hoisted + pairs[r] / a->batch;
        x[r] = fs_x_at(s, (int32_t)(pairs[r] % a->batch), step);
        FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_load(a->bias + (panel * 4 + g) * FS_PANEL + lane);
    }
    fs_accumulate(acc, x, a->w_x + panel * a->inputs * G * FS_PANEL + lane, a->inputs, G * FS_PANEL, R, G);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *sums = s->sums + (pairs[r] * s->blocks + block) * s->sum_gates * VLEN;
        FS_UNROLL for (int g = 0; g < G; g++) v_store(sums + g * VLEN, acc[r][g]);
    }
}
FS_INLINE void fs_sum3_block(const fs_run_state *s, const int32_t *pairs, int64_t block, const int R)
{
    fs_sum_block(s, pairs, block, R, 3);
}
FS_INLINE void fs_sum4_block(const fs_run_state *s, const int32_t *pairs, int64_t block, const int R)
{
    fs_sum_block(s, pairs, block, R, 4);
}
FS_BY_ROWS(fs_sum3_block, fs_run_state)
FS_BY_ROWS(fs_sum4_block, fs_run_state)

/* The new state of one vector of units: kept for the next step, and written out where sequences are wanted. */
FS_INLINE void fs_finish_units(const fs_run_state *s, int32_t row, int64_t unit, vf h)
{
    const fs_recurrent_args *a = s->a;
    v_store(fs_h_next(s, row) + unit, h);
    if (a->sequences)
        fs_store_units(a->y + row * a->y_row + s->step * a->y_time, unit, a->units, h);
}

/* Rows listed at a time; a multiple of every number of rows that a block takes. */
#define FS_LISTED 480

/* Calls `table` for `count` listed rows, or (timestep, row) pairs, for every block of the share. */
static void fs_walk_list(const fs_run_state *s, const fs_share *share, const fs_block_fn *table, const int32_t *list,
                         int count)
{
    for (int64_t block = share->unit_lo * FS_VECTORS; block < share->unit_hi * FS_VECTORS; block++)
        for (int done = 0; done < count;) {
            int n = fs_block_rows(count - done);
            table[n](s, list + done, block);
            done += n;
        }
}

/* The active rows of the share through `table`. */
static void fs_walk_rows(const fs_run_state *s, const fs_share *share, const fs_block_fn *table)
{
    int32_t list[FS_LISTED];
    for (int64_t row = share->row_lo; row < share->row_hi;) {
        int count = 0;
        for (; row < share->row_hi && count < FS_LISTED; row++)
            if (fs_active(s->a, row, s->step))
                list[count++] = (int32_t)row;
        fs_walk_list(s, share, table, list, count);
    }
}

/* Input sums of timesteps [first_hoisted, first_hoisted + steps) for the share's rows and blocks. */
static void fs_hoist(const fs_run_state *s, const fs_share *share, const fs_block_fn *table, int64_t steps)
{
    int32_t list[FS_LISTED];
    int count = 0;
    for (int64_t step = 0; step < steps; step++)
        for (int64_t row = share->row_lo; row < share->row_hi; row++) {
            if (!fs_active(s->a, row, s->first_hoisted + step))
                continue;
            list[count++] = (int32_t)(step * s->a->batch + row);
            if (count == FS_LISTED) {
                fs_walk_list(s, share, table, list, count);
                count = 0;
            }
        }
    fs_walk_list(s, share, table, list, count);
}

/* The units of the share, [*from, *to), that exist. */
FS_INLINE void fs_share_units(const fs_run_state *s, const fs_share *share, int panels, int64_t *from, int64_t *to)
{
    *from = share->unit_lo * panels * FS_PANEL;
    *to = share->unit_hi * panels * FS_PANEL;
    if (*to > s->a->units)
        *to = s->a->units;
}

FS_INLINE void fs_copy_units(float *to, const float *from, int64_t lo, int64_t hi)
{
    for (int64_t u = lo; u < hi; u++)
        to[u] = from ? from[u] : 0.0f;
}

/* A state into the kernel's own memory; lanes past the last unit start at 0, so that no arithmetic meets garbage. */
FS_INLINE void fs_load_state(float *to, const float *from, int64_t lo, int64_t hi, int64_t padded)
{
    fs_copy_units(to, from, lo, hi);
    fs_copy_units(to, NULL, hi > lo ? hi : lo, padded);
}

/* A masked row repeats its last output (zeros before the first), or gives zeros where the layer asks for that. */
static void fs_masked_outputs(const fs_run_state *s, const fs_share *share, int64_t lo, int64_t hi)
{
    const fs_recurrent_args *a = s->a;
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        if (fs_active(a, row, s->step))
            continue;
        int repeat = (s->flags[row] & FS_SEEN) && !a->zero_masked;
        fs_copy_units(a->y + row * a->y_row + s->step * a->y_time, repeat ? fs_h_now(s, (int32_t)row) : NULL, lo, hi);
    }
}

static int fs_recurrence(const fs_recurrent_args *a, const fs_share *share, const fs_cell_kernel *cell)
{
    int64_t panels = (a->units + FS_PANEL - 1) / FS_PANEL;
    int64_t units = (panels + cell->block_panels - 1) / cell->block_panels;
    fs_run_state run = {
        .a = a,
        .width = units * cell->block_panels * FS_PANEL,
        .blocks = units * FS_VECTORS,
        .sum_gates = cell->gates,
        .act = {a->a0, a->a1, a->a2},
        .rec = {a->r0, a->r1, a->r2},
    };
    /* Threads that share rows each keep flags of their own. */
    uint8_t shared_flags[FS_SHARED_ROWS];
    run.h = a->scratch;
    run.kept = run.h + a->batch * 2 * run.width;
    run.flags = share->barrier ? shared_flags : (uint8_t *)(run.kept + a->batch * 2 * run.width);
    run.sums = run.kept + a->batch * 2 * run.width + (a->batch + 3) / 4;
    int64_t hoist = fs_hoist_steps(a->batch, a->timesteps, a->inputs, a->units, cell->gates);
    run.hoisted = hoist > 0;
    int64_t lo, hi;
    fs_share_units(&run, share, cell->block_panels, &lo, &hi);
    int64_t padded = share->unit_hi * cell->block_panels * FS_PANEL;

    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        run.flags[row] = 0;
        fs_load_state(fs_h_now(&run, (int32_t)row), a->h0 ? a->h0 + row * a->units : NULL, lo, hi, padded);
        if (cell->has_c)
            fs_load_state(run.kept + row * run.width, a->c0 ? a->c0 + row * a->units : NULL, lo, hi, padded);
    }
    for (run.step = 0; run.step < a->timesteps; run.step++) {
        if (hoist && run.step % hoist == 0) {
            int64_t left = a->timesteps - run.step;
            run.first_hoisted = run.step;
            fs_hoist(&run, share, cell->sums, left < hoist ? left : hoist);
        }
        for (int phase = 0; phase < cell->phase_count; phase++) {
            /* Everybody's part of the last step, or of the last phase, is read next. */
            if (share->barrier)
                fs_barrier_wait(share->barrier);
            fs_walk_rows(&run, share, cell->phases[phase]);
        }
        if (a->mask && a->sequences)
            fs_masked_outputs(&run, share, lo, hi);
        for (int64_t row = share->row_lo; row < share->row_hi; row++)
            if (fs_active(a, row, run.step))
                run.flags[row] = (run.flags[row] ^ FS_PARITY) | FS_SEEN;
    }
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        const float *h = fs_h_now(&run, (int32_t)row);
        int masked_zero = a->zero_masked && !fs_active(a, row, a->timesteps - 1);
        if (!a->sequences)
            fs_copy_units(a->y + row * a->y_row, (run.flags[row] & FS_SEEN) && !masked_zero ? h : NULL, lo, hi);
        if (a->hn)
            fs_copy_units(a->hn + row * a->units, h, lo, hi);
        if (cell->has_c && a->cn)
            fs_copy_units(a->cn + row * a->units, run.kept + row * run.width, lo, hi);
    }
    return 0;
}
