/* SimpleRNN: h' = act(x W + h U + b); see keras.layers.SimpleRNN. Its one gate leaves room for four panels at a time.
   */

FS_INLINE void fs_simple_rnn_sums(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R,
                                  const int N)
{
    const float *h[FS_MOST_ROWS];
    FS_UNROLL for (int r = 0; r < R; r++) h[r] = fs_h_now(s, rows[r]);
    fs_tile_sums(s, rows, block, h, acc, R, N, 4);
}

/* The trace of a panel is what goes into the activation. */
FS_INLINE void fs_simple_rnn_end(const fs_run_state *s, const int32_t *rows, int64_t block, fs_sums acc, const int R,
                                 const int N, int act, int rec, const int traced)
{
    (void)rec;
    FS_UNROLL for (int v = 0; v < R * N; v++)
    {
        FS_UNROLL for (int g = 0; g < 4; g++)
        {
            int32_t row = FS_TILE_ROW(rows, v);
            int64_t unit = fs_unit_of(FS_TILE_BLOCK(block, v), 4, g);
            vf h = fs_vact(act, acc[v][g], s->act);
            if (traced) {
                if (s->a->trace)
                    fs_keep(s, row, unit, 1, 0, acc[v][g]);
                fs_keep_state(s, row, unit, h);
            }
            v_store(fs_h_next(s, row) + unit, v_one_nan(h));
        }
    }
    if (s->a->sequences)
        fs_write_panels(s, rows, block, R, N);
}
FS_CELL_TILES(fs_simple_rnn, FS_IS_TANH(s), FS_ACT_TANH, FS_ACT_LINEAR, FS_BY_ROWS_OF_4)

static int fs_simple_rnn(const fs_simple_rnn_args *args, const fs_share *share)
{
    static const fs_cell_kernel cell = {
        .phases = {{FS_PHASE_OF_4(fs_simple_rnn_tile), .panels = 4}},
        .phase_count = 1, .unit_panels = 4,
    };
    return fs_recurrence((const fs_recurrent_args *)args, share, &cell);
}
