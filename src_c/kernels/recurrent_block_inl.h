/* What a cell's block function is made of. A block is some rows times one vector of units of every gate; its sums live
   in registers from the bias to the new state. */

/* One thread's view of a running recurrence. W = width, panels in floats. */
typedef struct {
    const fs_recurrent_args *a;
    float *h;       /* (B, 2, W): a row's state now and next; which is which, its parity tells */
    float *kept;    /* (B, W) c of an LSTM; (B, 2, W) z and r * h of a GRU that resets before the product */
    uint8_t *flags; /* (B,) */
    int64_t width, step;
    float act[3], rec[3];
    int hoisted_vectors;      /* vectors of x products that hoisting keeps for a panel of units */
    int alternate, backwards; /* blocks are walked up and down in turn; this step walks them down */

    /* The phase that runs: its weights, and where its hoisted sums lie. */
    const fs_weight *w_x, *w_h;
    const float *looked_up, *bias; /* looked_up: the sums of each id, in the place of w_x */
    float *sums; /* (hoisted timesteps, B, blocks, vectors, VLEN) bias + x w, or null */
    int64_t blocks, vectors, first_hoisted;

    /* Each of the step's row blocks fetches its part of the next block's weights; row_blocks 0: none does. */
    int row_block, row_blocks;
    int from_zeros; /* h is zeros and adds nothing to any sum: its product is left out */

    double unlooked; /* multiply-adds since this thread last looked whether to stop, where the step is watched */
} fs_run_state;

enum { FS_PARITY = 1, FS_SEEN = 2 }; /* flags: which half of h is now; an unmasked step has passed */

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
/* Sums of a pair, that is (timestep - first_hoisted) * B + row. */
FS_INLINE float *fs_sums_at(const fs_run_state *s, int64_t pair, int64_t block)
{
    return s->sums + (pair * s->blocks + block) * s->vectors * VLEN;
}

/* The panel (or group of panels) of a block, and which of the panel's vectors it is, in floats. */
FS_INLINE int64_t fs_group(int64_t block) { return block / FS_VECTORS; }
FS_INLINE int64_t fs_lane(int64_t block) { return block % FS_VECTORS * VLEN; }

/* The first unit of a block's vector `which`, of blocks of `panels` panels. */
FS_INLINE int64_t fs_unit_of(int64_t block, int panels, int which)
{
    return (fs_group(block) * panels + which) * FS_PANEL + fs_lane(block);
}
FS_INLINE int64_t fs_unit(int64_t block) { return fs_unit_of(block, 1, 0); }

FS_INLINE vf fs_bias_at(const fs_run_state *s, int64_t block, int g)
{
    return v_load(s->bias + (fs_group(block) * 4 + g) * FS_PANEL + fs_lane(block));
}

/* What this row block fetches while it multiplies with a panel of `count` k from w on: its part of the next panel. */
FS_INLINE fs_ahead fs_next_panel(const fs_run_state *s, const fs_weight *w, int64_t count, const int G)
{
    int64_t k_bytes = G * FS_PANEL * W_BYTES;
    if (s->row_blocks == 0)
        return (fs_ahead){NULL, 0};
    return (fs_ahead){(const char *)w + count * k_bytes + count * k_bytes * s->row_block / s->row_blocks,
                      k_bytes / s->row_blocks};
}

/* A tile is R rows of one block, or one row of N blocks side by side: for a single row the four sums of a block are too
   few to keep the multipliers busy, and its activations one long chain. Its sums are numbered v = 0 .. R * N - 1. */
#define FS_TILE_ROW(rows, v) ((rows)[N > 1 ? 0 : (v)])
#define FS_TILE_BLOCK(block, v) (N > 1 ? (block) + (v) : (block))

/* acc += x w of the tile, `count` k of G vectors. */
FS_INLINE void fs_tile_product(const fs_run_state *s, int64_t block, const float *const *x, const fs_weight *weights,
                               int64_t count, fs_sums acc, const int R, const int N, const int G)
{
    const fs_weight *w[FS_MOST_BESIDE];
    FS_UNROLL for (int v = 0; v < N; v++)
        w[v] = weights + fs_group(FS_TILE_BLOCK(block, v)) * count * G * FS_PANEL + fs_lane(FS_TILE_BLOCK(block, v));
    if (N > 1)
        fs_accumulate_beside(acc, x[0], w, count, G * FS_PANEL, N, G);
    else
        fs_accumulate(acc, x, w[0], count, G * FS_PANEL, fs_next_panel(s, w[0], count, G), R, G);
}

/* acc = bias + x w_x of G vectors. */
FS_INLINE void fs_input_sums(const fs_run_state *s, int64_t block, const float *const *x, fs_sums acc, const int R,
                             const int N, const int G)
{
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        FS_UNROLL for (int g = 0; g < G; g++) acc[v][g] = fs_bias_at(s, FS_TILE_BLOCK(block, v), g);
    }
    fs_tile_product(s, block, x, s->w_x, s->a->inputs, acc, R, N, G);
}

/* acc = the sums that stand ready for the step's ids. */
FS_INLINE void fs_looked_up_sums(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R,
                                 const int N, const int G)
{
    const fs_recurrent_args *a = s->a;
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        int64_t id = a->ids[FS_TILE_ROW(rows, v) * a->x_row + s->step * a->x_time];
        int64_t groups = s->blocks / FS_VECTORS, at = FS_TILE_BLOCK(block, v);
        const float *sums = s->looked_up + (id * groups + fs_group(at)) * G * FS_PANEL + fs_lane(at);
        FS_UNROLL for (int g = 0; g < G; g++) acc[v][g] = v_load(sums + g * FS_PANEL);
    }
}

/* acc += read w_h, where acc begins with the hoisted sums, with looked up ones, or with bias and x product. `read` is
   h, or what takes its place. Where x has three gates the candidate's recurrent sum is apart: the fourth, from a bias
   of its own. */
FS_INLINE void fs_tile_sums(const fs_run_state *s, const int32_t *rows, int64_t block, const float *const *read,
                            fs_sums acc, const int R, const int N, const int G)
{
    if (s->sums) {
        int64_t pair = (s->step - s->first_hoisted) * s->a->batch;
        FS_UNROLL for (int v = 0; v < R * N; v++)
        {
            const float *sums = fs_sums_at(s, pair + FS_TILE_ROW(rows, v), FS_TILE_BLOCK(block, v));
            FS_UNROLL for (int g = 0; g < G; g++) acc[v][g] = v_load(sums + g * VLEN);
        }
    } else if (s->a->ids) {
        fs_looked_up_sums(s, rows, block, acc, R, N, G);
    } else {
        const float *x[FS_MOST_ROWS];
        FS_UNROLL for (int r = 0; r < R; r++) x[r] = fs_x_at(s, rows[r], s->step);
        fs_input_sums(s, block, x, acc, R, N, G);
    }
    if (G != 3) {
        if (!s->from_zeros)
            fs_tile_product(s, block, read, s->w_h, s->a->units, acc, R, N, G);
        return;
    }
    fs_sums product;
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        product[v][0] = acc[v][0];
        product[v][1] = acc[v][1];
        product[v][2] = fs_bias_at(s, FS_TILE_BLOCK(block, v), 3);
    }
    if (!s->from_zeros)
        fs_tile_product(s, block, read, s->w_h, s->a->units, product, R, N, G);
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        acc[v][0] = product[v][0];
        acc[v][1] = product[v][1];
        acc[v][3] = product[v][2];
    }
}

/* Hoisting: bias + x w of (timestep, row) pairs, into `sums`. */
FS_INLINE void fs_hoist_block(const fs_run_state *s, const int32_t *pairs, int64_t block, const int R, const int G)
{
    int64_t batch = s->a->batch;
    const float *x[FS_MOST_ROWS];
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++)
        x[r] = fs_x_at(s, (int32_t)(pairs[r] % batch), s->first_hoisted + pairs[r] / batch);
    fs_input_sums(s, block, x, acc, R, 1, G);
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *sums = fs_sums_at(s, pairs[r], block);
        FS_UNROLL for (int g = 0; g < G; g++) v_store(sums + g * VLEN, acc[r][g]);
    }
}
FS_INLINE void fs_hoist3_block(fs_run_state *s, const int32_t *pairs, int64_t block, const int R)
{
    fs_hoist_block(s, pairs, block, R, 3);
}
FS_INLINE void fs_hoist4_block(fs_run_state *s, const int32_t *pairs, int64_t block, const int R)
{
    fs_hoist_block(s, pairs, block, R, 4);
}
FS_BY_ROWS_OF_3(fs_hoist3_block, fs_run_state)
FS_BY_ROWS_OF_4(fs_hoist4_block, fs_run_state)

/* The new states of four panels, which lie in fs_h_next, written out where sequences are wanted: out of line, as 32
   stores that may be partial are more code than all else in a tile. */
static __attribute__((noinline)) void fs_write_panels(const fs_run_state *s, const int32_t *rows, int64_t block, int R,
                                                      int N)
{
    const fs_recurrent_args *a = s->a;
    for (int v = 0; v < R * N; v++) {
        int32_t row = FS_TILE_ROW(rows, v);
        const float *h = fs_h_next(s, row);
        float *y = a->y + row * a->y_row + s->step * a->y_time;
        for (int g = 0; g < 4; g++) {
            int64_t unit = fs_unit_of(FS_TILE_BLOCK(block, v), 4, g);
            fs_store_units(y, unit, a->units, v_load(h + unit));
        }
    }
}

/* The new state of one vector of units: kept for the next step, and written out where sequences are wanted. */
FS_INLINE void fs_finish_units(const fs_run_state *s, int32_t row, int64_t unit, vf h)
{
    const fs_recurrent_args *a = s->a;
    h = v_one_nan(h);
    v_store(fs_h_next(s, row) + unit, h);
    if (a->sequences)
        fs_store_units(a->y + row * a->y_row + s->step * a->y_time, unit, a->units, h);
}

/* What a traced tile keeps for the backward pass: vector `which` of the `n` that a panel of a row's step has. */
FS_INLINE void fs_keep(const fs_run_state *s, int32_t row, int64_t unit, int n, int which, vf value)
{
    const fs_recurrent_args *a = s->a;
    int64_t panel = (s->step * a->batch + row) * (s->width / FS_PANEL) + unit / FS_PANEL;
    v_store(a->trace + (panel * n + which) * FS_PANEL + unit % FS_PANEL, value);
}
/* Gates are kept as they come out of tanh and sigmoid, whose slopes these values give. Of other activations what goes
   in is kept: some have no slope that their value tells. */
FS_INLINE int fs_keeps_values(int act, int rec) { return act == FS_ACT_TANH && rec == FS_ACT_SIGMOID; }

FS_INLINE int fs_is_traced(const fs_run_state *s) { return s->a->trace != NULL || s->a->states != NULL; }

FS_INLINE void fs_keep_state(const fs_run_state *s, int32_t row, int64_t unit, vf h)
{
    const fs_recurrent_args *a = s->a;
    if (a->states)
        fs_store_units(a->states + (row * a->timesteps + s->step) * a->units, unit, a->units, h);
}

/* Activations that a cell's tiles have in line; FS_CELL_TILES asks for one of these. */
#define FS_IS_TANH(s) ((s)->a->activation == FS_ACT_TANH)
#define FS_IS_SIGMOID(s) ((s)->a->recurrent_activation == FS_ACT_SIGMOID)
#define FS_IS_USUAL(s) (FS_IS_TANH(s) && FS_IS_SIGMOID(s))

/* A cell's tiles (or a phase's), from cell_sums(state, rows, block, acc, R, N) and its last part, cell_end(..,
   activation, recurrent activation, traced). Where `usual` holds and there is no trace, cell_end is in line, with `act`
   and `rec`. Everything else goes out of line and one by one: tiles that hold it all are most of the library, and of
   its build. The sums go there through memory of their own (0.5% of a training step): `acc` itself must be in no
   memory. */
#define FS_CELL_TILES(cell, usual, act, rec, by_rows)                                                                  \
    static __attribute__((noinline)) void cell##_rest(const fs_run_state *s, const int32_t *rows, int64_t block,       \
                                                      fs_sums acc, int R, int N)                                       \
    {                                                                                                                  \
        int traced = fs_is_traced(s), activation = (int)s->a->activation;                                              \
        int recurrent = (int)s->a->recurrent_activation;                                                               \
        for (int v = 0; v < R * N; v++) {                                                                              \
            const int32_t *row = &FS_TILE_ROW(rows, v);                                                                \
            if (usual)                                                                                                 \
                cell##_end(s, row, FS_TILE_BLOCK(block, v), acc + v, 1, 1, act, rec, 1);                               \
            else                                                                                                       \
                cell##_end(s, row, FS_TILE_BLOCK(block, v), acc + v, 1, 1, activation, recurrent, traced);             \
        }                                                                                                              \
    }                                                                                                                  \
    FS_INLINE void cell##_tile(fs_run_state *s, const int32_t *rows, int64_t block, const int R, const int N)          \
    {                                                                                                                  \
        fs_sums acc;                                                                                                   \
        cell##_sums(s, rows, block, acc, R, N);                                                                        \
        if (usual && !fs_is_traced(s)) {                                                                               \
            cell##_end(s, rows, block, acc, R, N, act, rec, 0);                                                        \
            return;                                                                                                    \
        }                                                                                                              \
        fs_sums sums;                                                                                                  \
        FS_UNROLL for (int v = 0; v < R * N; v++)                                                                      \
        {                                                                                                              \
            FS_UNROLL for (int g = 0; g < 4; g++) sums[v][g] = acc[v][g];                                              \
        }                                                                                                              \
        cell##_rest(s, rows, block, sums, R, N);                                                                       \
    }                                                                                                                  \
    FS_TILES(cell##_tile, fs_run_state, by_rows)
