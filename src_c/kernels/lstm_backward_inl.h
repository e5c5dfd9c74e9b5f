/* The gradients of an LSTM's gate sums: dz is i, f, g, o as Keras keeps them. */

FS_INLINE void fs_lstm_back_units(const fs_back_run *s, int64_t row, int64_t unit, int act, int rec, int values)
{
    int64_t H = s->a->units;
    float *dz = fs_back_dz(s, row), *dc_at = s->dc + row * s->width + unit;
    fs_gate in = fs_gate_of(rec, fs_back_kept(s, row, unit, FS_LSTM_KEPT, 0), s->rec, values);
    fs_gate forget = fs_gate_of(rec, fs_back_kept(s, row, unit, FS_LSTM_KEPT, 1), s->rec, values);
    fs_gate candidate = fs_gate_of(act, fs_back_kept(s, row, unit, FS_LSTM_KEPT, 2), s->act, values);
    fs_gate out = fs_gate_of(rec, fs_back_kept(s, row, unit, FS_LSTM_KEPT, 3), s->rec, values);
    vf before = fs_back_kept(s, row, unit, FS_LSTM_KEPT, 4);
    /* c after the step, with the bits that it had. */
    vf c = v_fma(forget.value, before, v_mul(in.value, candidate.value));
    fs_gate after = fs_gate_of(act, values ? v_tanh(c) : c, s->act, values);
    vf dh = v_add(v_load(s->dh + row * s->width + unit), fs_load_if(fs_back_dy(s, row), unit, H));
    vf dc = v_fma(v_mul(dh, out.value), after.slope, v_load(dc_at));
    fs_store_units(dz, unit, H, v_mul(v_mul(dc, candidate.value), in.slope));
    fs_store_units(dz + H, unit, H, v_mul(v_mul(dc, before), forget.slope));
    fs_store_units(dz + 2 * H, unit, H, v_mul(v_mul(dc, in.value), candidate.slope));
    fs_store_units(dz + 3 * H, unit, H, v_mul(v_mul(dh, after.value), out.slope));
    v_store(dc_at, v_mul(dc, forget.value));
}
FS_BACK_UNITS(fs_lstm_back)

static int fs_lstm_backward(const fs_lstm_backward_args *args, const fs_share *share)
{
    static const fs_cell_backward cell = {
        .units = {fs_lstm_back}, .phase_count = 1, .gates = 4, .has_c = 1, .unit_panels = 1, .kept = FS_LSTM_KEPT};
    return fs_back((const fs_recurrent_backward_args *)args, share, &cell);
}
