/* LSTM: gates i, f, g (candidate), o; see Hochreiter & Schmidhuber 1997 and keras.layers.LSTM.
   c' = f c + i g,  h = o act(c'). */

/* The trace of a panel, FS_LSTM_KEPT vectors: i, f, g, o, and c before the step. */

FS_INLINE void fs_lstm_end(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R,
                           const int N, int act, int rec, const int traced)
{
    /* The states of all rows, then their outputs: a row's chain of operations is long, and those of the other rows fill
       its gaps (7% of a step of 16 units). */
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        float *c = s->kept + FS_TILE_ROW(rows, v) * s->width + fs_unit(FS_TILE_BLOCK(block, v));
        vf in = fs_vact(rec, acc[v][0], s->rec);
        vf forget = fs_vact(rec, acc[v][1], s->rec);
        vf candidate = fs_vact(act, acc[v][2], s->act);
        if (traced) {
            int values = fs_keeps_values(act, rec);
            int32_t row = FS_TILE_ROW(rows, v);
            int64_t unit = fs_unit(FS_TILE_BLOCK(block, v));
            fs_keep(s, row, unit, FS_LSTM_KEPT, 0, values ? in : acc[v][0]);
            fs_keep(s, row, unit, FS_LSTM_KEPT, 1, values ? forget : acc[v][1]);
            fs_keep(s, row, unit, FS_LSTM_KEPT, 2, values ? candidate : acc[v][2]);
            fs_keep(s, row, unit, FS_LSTM_KEPT, 4, v_load(c));
        }
        acc[v][0] = v_fma(forget, v_load(c), v_mul(in, candidate));
        v_store(c, acc[v][0]);
    }
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        vf out = fs_vact(rec, acc[v][3], s->rec);
        vf h = v_mul(out, fs_vact(act, acc[v][0], s->act));
        if (traced) {
            int32_t row = FS_TILE_ROW(rows, v);
            int64_t unit = fs_unit(FS_TILE_BLOCK(block, v));
            fs_keep(s, row, unit, FS_LSTM_KEPT, 3, fs_keeps_values(act, rec) ? out : acc[v][3]);
            fs_keep_state(s, row, unit, h);
        }
        fs_finish_units(s, FS_TILE_ROW(rows, v), fs_unit(FS_TILE_BLOCK(block, v)), h);
    }
}

FS_INLINE void fs_lstm_sums(fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R, const int N)
{
    const float *h[FS_MOST_ROWS];
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_tile_sums(s, rows, block, h, acc, R, N, 4);
}
FS_CELL_TILES(fs_lstm, FS_IS_USUAL(s), FS_ACT_TANH, FS_ACT_SIGMOID, FS_BY_ROWS_OF_4)

static int fs_lstm(const fs_lstm_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{FS_PHASE_OF_4(fs_lstm_tile), .panels = 1}},
        .phase_count = 1, .unit_panels = 1, .has_c = 1, .gated = 1,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
