/* LSTM: gates i, f, g (candidate), o; see Hochreiter & Schmidhuber 1997 and keras.layers.LSTM.
   c' = f c + i g,  h = o act(c'). */

FS_INLINE void fs_lstm_finish(const fs_run_state *s, const int32_t *rows, int64_t unit, fs_sums acc, const int R,
                              int act, int rec)
{
    /* The states of all rows, then their outputs: a row's chain of operations is long, and those of the other rows fill
       its gaps (7% of a step of 16 units). */
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        float *c = s->kept + rows[r] * s->width + unit;
        vf in = fs_vact(rec, acc[r][0], s->rec);
        vf forget = fs_vact(rec, acc[r][1], s->rec);
        vf candidate = fs_vact(act, acc[r][2], s->act);
        acc[r][0] = v_fma(forget, v_load(c), v_mul(in, candidate));
        v_store(c, acc[r][0]);
    }
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        vf out = fs_vact(rec, acc[r][3], s->rec);
        fs_finish_units(s, rows[r], unit, v_mul(out, fs_vact(act, acc[r][0], s->act)));
    }
}

FS_FINISH_ANY(fs_lstm_finish)

FS_INLINE void fs_lstm_block(fs_run_state *s, const int32_t *rows, int64_t block, const int R)
{
    const float *h[FS_MOST_ROWS];
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_block_sums(s, rows, block, h, acc, R, 4);
    int64_t unit = fs_group(block) * FS_PANEL + fs_lane(block);
    fs_lstm_finish_block(s, rows, unit, acc, R);
}
FS_BY_ROWS_OF_4(fs_lstm_block, fs_run_state)

static int fs_lstm(const fs_lstm_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{fs_lstm_block_table, fs_hoist4_block_table, FS_ROWS_4, FS_ROWS_4_ALONE, 4, 1}},
        .phase_count = 1, .unit_panels = 1, .has_c = 1, .gated = 1,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
