/* LSTM: gates i, f, g (candidate), o; see Hochreiter & Schmidhuber 1997 and keras.layers.LSTM.
   c' = f c + i g,  h = o act(c'). */

FS_INLINE void fs_lstm_finish(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R,
                              const int N, int act, int rec)
{
    /* The states of all rows, then their outputs: a row's chain of operations is long, and those of the other rows fill
       its gaps (7% of a step of 16 units). */
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        float *c = s->kept + FS_TILE_ROW(rows, v) * s->width + fs_unit(FS_TILE_BLOCK(block, v));
        vf in = fs_vact(rec, acc[v][0], s->rec);
        vf forget = fs_vact(rec, acc[v][1], s->rec);
        vf candidate = fs_vact(act, acc[v][2], s->act);
        acc[v][0] = v_fma(forget, v_load(c), v_mul(in, candidate));
        v_store(c, acc[v][0]);
    }
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        vf out = fs_vact(rec, acc[v][3], s->rec);
        fs_finish_units(s, FS_TILE_ROW(rows, v), fs_unit(FS_TILE_BLOCK(block, v)),
                        v_mul(out, fs_vact(act, acc[v][0], s->act)));
    }
}
FS_FINISH_TILE(fs_lstm_finish)

FS_INLINE void fs_lstm_tile(fs_run_state *s, const int32_t *rows, int64_t block, const int R, const int N)
{
    const float *h[FS_MOST_ROWS];
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_tile_sums(s, rows, block, h, acc, R, N, 4);
    fs_lstm_finish_tile(s, rows, block, acc, R, N);
}
FS_TILES(fs_lstm_tile, fs_run_state, FS_BY_ROWS_OF_4)

static int fs_lstm(const fs_lstm_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{FS_PHASE_OF_4(fs_lstm_tile), .panels = 1}},
        .phase_count = 1, .unit_panels = 1, .has_c = 1, .gated = 1,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
