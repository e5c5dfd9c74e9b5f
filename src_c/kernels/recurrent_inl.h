/* What the recurrent kernels share: the walk over time, rows and blocks, masks, states in and out. A cell brings block
   functions (recurrent_block_inl.h) by number of rows, for each of its phases. */

typedef void (*fs_block_fn)(fs_run_state *, const int32_t *rows, int64_t block);

/* A phase of a step: every unit has passed one before any unit begins the next. */
typedef struct {
    const fs_block_fn *rows;   /* by number of rows of a block */
    const fs_block_fn *beside; /* by number of blocks of a single row */
    const fs_block_fn *hoist;  /* by number of (timestep, row) pairs: x products into `sums` */
    int most_rows;  /* of a block */
    int rows_far;   /* of a block, where the weights are beyond L2 */
    int rows_alone; /* up to so many rows, where there are no more, make one block */
    int vectors; /* of weights for each k: gates times panels */
    int panels;  /* in a block */
} fs_phase;

/* A phase whose blocks have 4 vectors of weights for each k, or 3. */
#define FS_PHASE_OF_4(name)                                                                                            \
    .rows = name##_rows_table, .beside = name##_beside, .hoist = fs_hoist4_block_table, .most_rows = FS_ROWS_4,        \
    .rows_far = FS_ROWS_4_FAR, .rows_alone = FS_ROWS_4_ALONE, .vectors = 4
#define FS_PHASE_OF_3(name)                                                                                            \
    .rows = name##_rows_table, .beside = name##_beside, .hoist = fs_hoist3_block_table, .most_rows = FS_ROWS_3,        \
    .rows_far = FS_ROWS_3, .rows_alone = FS_ROWS_3, .vectors = 3

typedef struct {
    fs_phase phases[2];
    int phase_count;
    int unit_panels; /* panels that one thread owns together */
    int has_c;       /* `kept` is a state that comes in as c0 and goes out as cn */
    int gated;       /* adds zeros to every gate's sum in the first step from no given state */
} fs_cell_kernel;

FS_INLINE int fs_active(const fs_recurrent_args *a, int64_t row, int64_t step)
{
    return a->mask == NULL || a->mask[row * a->mask_row + step * a->mask_time];
}

/* Makes `phase` the one that runs. Its weights follow those of the phase before it; so do its hoisted sums. */
static void fs_enter_phase(fs_run_state *s, const fs_cell_kernel *cell, int phase, float *sums, int64_t hoisted_steps)
{
    const fs_recurrent_args *a = s->a;
    const fs_phase *p = &cell->phases[phase];
    int64_t before = phase == 0 ? 0 : s->width / cell->phases[0].panels * cell->phases[0].vectors;
    int bias_apart = phase == 0 ? 0 : (int)(s->width / FS_PANEL / cell->phases[0].panels * 4 * FS_PANEL);
    s->w_x = (const fs_weight *)a->w_x + before * a->inputs;
    s->looked_up = (const float *)a->w_x + before * a->inputs;
    s->w_h = phase == 0 ? a->w_h : a->w_c;
    s->bias = a->bias + bias_apart;
    s->blocks = s->width / FS_PANEL / p->panels * FS_VECTORS;
    s->vectors = p->vectors;
    s->sums = hoisted_steps ? sums + before * hoisted_steps * a->batch : NULL;
}

/* Weights of one thread's step that come from beyond L2 in good part. */
#define FS_FAR_BYTES (4 * 1024 * 1024)

/* How many blocks of a single row go side by side. Where their weights are in L1 or nearly, some at once are faster
   (AVX-512, GRU (1,100,64,64): 1.4 times); where they are a little more, two, so that walking up and down still finds
   half of them there; read from further away, one stream of four vectors is faster than several (LSTM (1,1,128,256),
   512 KiB: 1.5 times), but three vectors alone wait for their sums (GRU (1,100,256,256): 1.04 times, 1.1 on two
   threads). Where a panel is several vectors these share cache lines and go together anyway (AVX2, LSTM
   (1,100,256,256): 1.4 times). */
static int fs_most_beside(int64_t weights, int vectors)
{
    if (FS_VECTORS > 1 || weights <= 48 * 1024 || (vectors == 3 && weights > 256 * 1024))
        return FS_MOST_BESIDE;
    return weights <= 128 * 1024 ? 2 : 1;
}

/* Blocks [first, last) of a single row. Returns whether to stop. */
static int fs_walk_row(fs_run_state *s, const fs_share *share, const fs_phase *phase, const int32_t *row,
                       int64_t first, int64_t last)
{
    int64_t depth = (s->sums ? 0 : fs_multiplied_inputs(s->a)) + (s->from_zeros ? 0 : s->a->units);
    int64_t weights = (last - first) * depth * phase->vectors * VLEN * W_BYTES;
    int most = fs_most_beside(weights, phase->vectors);
    while (first < last) {
        int64_t left = last - first;
        int n = fs_block_rows(left < 1024 ? (int)left : 1024, most);
        phase->beside[n](s, row, s->backwards ? last - n : first);
        first += s->backwards ? 0 : n;
        last -= s->backwards ? n : 0;
        if (FS_STOPS(share, &s->unlooked, (double)n * (double)(depth + 16) * phase->vectors * VLEN))
            return 1;
    }
    return 0;
}

/* Calls `table` for `count` listed rows, or pairs, for every block of the share. Returns whether to stop: each thread
   looks after blocks, as a step of a very large layer alone can take seconds. */
static int fs_walk_list(fs_run_state *s, const fs_share *share, const fs_cell_kernel *cell, const fs_phase *phase,
                        const fs_block_fn *table, const int32_t *list, int count)
{
    int64_t per_unit = cell->unit_panels / phase->panels * FS_VECTORS;
    int64_t first = share->unit_lo * per_unit, blocks = (share->unit_hi - share->unit_lo) * per_unit;
    if (count == 1 && table == phase->rows) {
        s->row_blocks = 0;
        return fs_walk_row(s, share, phase, list, first, first + blocks);
    }
    int64_t inputs = fs_multiplied_inputs(s->a);
    int64_t weights = blocks * (inputs + s->a->units) * phase->vectors * VLEN * W_BYTES;
    int most_rows = weights > FS_FAR_BYTES ? phase->rows_far : phase->most_rows;
    if (count <= phase->rows_alone)
        most_rows = phase->rows_alone;
    int ahead = fs_fetches_ahead(count, inputs, s->a->units, phase->vectors, W_BYTES);
    s->row_blocks = ahead ? (count + most_rows - 1) / most_rows : 0;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t block = first + (s->backwards ? blocks - 1 - i : i);
        s->row_block = 0;
        for (int done = 0; done < count; s->row_block++) {
            int n = fs_block_rows(count - done, most_rows);
            table[n](s, list + done, block);
            done += n;
        }
        /* Masked rows are not listed, but take some time too. */
        if (FS_STOPS(share, &s->unlooked,
                     ((double)count * (double)(inputs + s->a->units) + (double)(share->row_hi - share->row_lo) + 16) *
                         phase->vectors * VLEN))
            return 1;
    }
    return 0;
}

/* Input sums of timesteps [first_hoisted, first_hoisted + steps) for the rows and the share's blocks. Returns whether
   to stop. */
static int fs_hoist(fs_run_state *s, const fs_share *share, const fs_cell_kernel *cell, const fs_phase *phase,
                    int64_t steps)
{
    int32_t list[FS_MOST_LISTED];
    int count = 0;
    for (int64_t step = 0; step < steps; step++)
        for (int64_t row = share->row_lo; row < share->row_hi; row++) {
            if (!fs_active(s->a, row, s->first_hoisted + step))
                continue;
            list[count++] = (int32_t)(step * s->a->batch + row);
            if (count == FS_MOST_LISTED) {
                if (fs_walk_list(s, share, cell, phase, phase->hoist, list, count))
                    return 1;
                count = 0;
            }
        }
    return fs_walk_list(s, share, cell, phase, phase->hoist, list, count);
}

FS_INLINE void fs_copy_units(float *to, const float *from, int64_t lo, int64_t hi)
{
    for (int64_t u = lo; u < hi; u++)
        to[u] = from ? from[u] : 0.0f;
}

/* As v_one_nan, once for a state that no step has stored with it (LSTM, 16 units: 2% less time). */
FS_INLINE void fs_copy_one_nan(float *to, const float *from, int64_t lo, int64_t hi)
{
    for (int64_t u = lo; u < hi; u++)
        to[u] = from[u] == from[u] ? from[u] : __builtin_nanf("");
}

/* A state into the kernel's own memory; lanes past the last unit start at 0, so that no arithmetic meets garbage. */
FS_INLINE void fs_load_state(float *to, const float *from, int64_t lo, int64_t hi, int64_t padded)
{
    fs_copy_units(to, from, lo, hi);
    fs_copy_units(to, NULL, hi > lo ? hi : lo, padded);
}

/* A masked row repeats its last output (zeros before the first), or gives zeros where the layer asks for that; its
   state stays as it is. */
static void fs_masked_outputs(const fs_run_state *s, const fs_share *share, int64_t lo, int64_t hi)
{
    const fs_recurrent_args *a = s->a;
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        if (fs_active(a, row, s->step))
            continue;
        int repeat = (s->flags[row] & FS_SEEN) && !a->zero_masked;
        const float *h = fs_h_now(s, (int32_t)row);
        if (a->sequences)
            fs_copy_units(a->y + row * a->y_row + s->step * a->y_time, repeat ? h : NULL, lo, hi);
        if (a->states)
            fs_copy_units(a->states + (row * a->timesteps + s->step) * a->units, h, lo, hi);
    }
}

/* All timesteps of the share's rows, at most FS_MOST_LISTED of them. Returns whether it stopped early: then nothing is
   said of its outputs. */
static int fs_recur_rows(fs_run_state *s, const fs_share *share, const fs_cell_kernel *cell, float *sums)
{
    const fs_recurrent_args *a = s->a;
    int64_t hoist = fs_hoist_steps(a->batch, a->timesteps, fs_multiplied_inputs(a), a->units, s->hoisted_vectors);
    int64_t lo = share->unit_lo * cell->unit_panels * FS_PANEL, padded = share->unit_hi * cell->unit_panels * FS_PANEL;
    int64_t hi = padded < a->units ? padded : a->units;
    int32_t list[FS_MOST_LISTED];
    int count = 0;
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        list[count++] = (int32_t)row;
        s->flags[row] = 0;
        fs_load_state(fs_h_now(s, (int32_t)row), a->h0 ? a->h0 + row * a->units : NULL, lo, hi, padded);
        if (cell->has_c)
            fs_load_state(s->kept + row * s->width, a->c0 ? a->c0 + row * a->units : NULL, lo, hi, padded);
    }
    for (s->step = 0; s->step < a->timesteps; s->step++) {
        if (a->mask) {
            count = 0;
            for (int64_t row = share->row_lo; row < share->row_hi; row++)
                if (fs_active(a, row, s->step))
                    list[count++] = (int32_t)row;
        }
        s->backwards = s->alternate && ((s->step ^ a->down) & 1);
        if (hoist && s->step % hoist == 0) {
            int64_t left = a->timesteps - s->step;
            s->first_hoisted = s->step;
            for (int phase = 0; phase < cell->phase_count; phase++) {
                fs_enter_phase(s, cell, phase, sums, hoist);
                if (fs_hoist(s, share, cell, &cell->phases[phase], left < hoist ? left : hoist))
                    return 1;
            }
        }
        /* Zeros times finite weights add nothing to any gate's sum, so the first step from no given state leaves the
           product out, half the work of a call with one step. (Not SimpleRNN: -0 would come out as -0, not as 0.) */
        s->from_zeros = s->step == 0 && a->h0 == NULL && a->finite_kernel && cell->gated;
        for (int phase = 0; phase < cell->phase_count; phase++) {
            /* Everybody's part of the last step, or of the last phase, is read next. */
            if (share->barrier && fs_barrier_wait(share->barrier))
                return 1;
            fs_enter_phase(s, cell, phase, sums, hoist);
            if (fs_walk_list(s, share, cell, &cell->phases[phase], cell->phases[phase].rows, list, count))
                return 1;
        }
        if (a->mask && (a->sequences || a->states))
            fs_masked_outputs(s, share, lo, hi);
        for (int i = 0; i < count; i++)
            s->flags[list[i]] = (s->flags[list[i]] ^ FS_PARITY) | FS_SEEN;
    }
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        const float *h = fs_h_now(s, (int32_t)row);
        int masked_zero = a->zero_masked && !fs_active(a, row, a->timesteps - 1);
        if (!a->sequences)
            fs_copy_units(a->y + row * a->y_row, (s->flags[row] & FS_SEEN) && !masked_zero ? h : NULL, lo, hi);
        if (a->hn)
            fs_copy_units(a->hn + row * a->units, h, lo, hi);
        if (cell->has_c && a->cn)
            fs_copy_one_nan(a->cn + row * a->units, s->kept + row * s->width, lo, hi);
    }
    return 0;
}

static int fs_recurrence(const fs_recurrent_args *a, const fs_share *share, const fs_cell_kernel *cell)
{
    int64_t panels = (a->units + FS_PANEL - 1) / FS_PANEL;
    int64_t units = (panels + cell->unit_panels - 1) / cell->unit_panels;
    int vectors = 0; /* of all phases, for a panel of units */
    for (int phase = 0; phase < cell->phase_count; phase++)
        vectors += cell->phases[phase].vectors / cell->phases[phase].panels;
    fs_run_state run = {
        .a = a,
        .width = units * cell->unit_panels * FS_PANEL,
        .hoisted_vectors = vectors,
        .act = {a->a0, a->a1, a->a2},
        .rec = {a->r0, a->r1, a->r2},
    };
    /* Threads that share rows each keep flags of their own. */
    uint8_t shared_flags[FS_SHARED_ROWS];
    run.h = a->scratch;
    run.kept = run.h + a->batch * 2 * run.width;
    run.flags = share->barrier ? shared_flags : (uint8_t *)(run.kept + a->batch * 2 * run.width);
    float *sums = run.kept + a->batch * 2 * run.width + (a->batch + 3) / 4;
    int64_t own = (share->unit_hi - share->unit_lo) * cell->unit_panels;
    int64_t inputs = fs_multiplied_inputs(a);
    run.alternate = fs_alternates(share->row_hi - share->row_lo, inputs, a->units, own * vectors, W_BYTES);
    int64_t group = fs_row_group(inputs, a->units, panels * vectors, W_BYTES);
    for (int64_t row = share->row_lo; row < share->row_hi; row += group) {
        fs_share part = *share;
        part.row_lo = row;
        part.row_hi = share->row_hi - row < group ? share->row_hi : row + group;
        if (fs_recur_rows(&run, &part, cell, sums)) {
            fs_leave(share);
            break;
        }
    }
    return 0;
}
