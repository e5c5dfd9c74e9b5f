/* The gradients of a SimpleRNN's sums, from its states where there is no trace: for tanh, sigmoid, relu without
   parameters, exponential and linear. */

FS_INLINE void fs_simple_rnn_back_units(const fs_back_run *s, int64_t row, int64_t unit, int act, int rec, int values)
{
    (void)rec, (void)values;
    int64_t H = s->a->units;
    vf slope = s->a->trace ? fs_vslope(act, fs_back_kept(s, row, unit, 1, 0), s->act)
                           : fs_vslope_of_value(act, fs_load_units(fs_back_h(s, row, s->step), unit, H));
    vf dh = v_add(v_load(s->dh + row * s->width + unit), fs_load_if(fs_back_dy(s, row), unit, H));
    fs_store_units(fs_back_dz(s, row), unit, H, v_mul(dh, slope));
}
FS_BACK_UNITS(fs_simple_rnn_back)

static int fs_simple_rnn_backward(const fs_simple_rnn_backward_args *args, const fs_share *share)
{
    static const fs_cell_backward cell = {
        .units = {fs_simple_rnn_back}, .phase_count = 1, .gates = 1, .unit_panels = 4, .kept = 1};
    return fs_back((const fs_recurrent_backward_args *)args, share, &cell);
}
