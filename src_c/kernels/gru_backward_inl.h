/* The gradients of a GRU's gate sums: dz is z, r, the candidate's as Keras keeps them, and for a GRU that resets after
   the product, the fourth, the candidate's sum over h. */

FS_INLINE void fs_gru_back_units(const fs_back_run *s, int64_t row, int64_t unit, int act, int rec, int values)
{
    int64_t H = s->a->units;
    float *dz = fs_back_dz(s, row), *dh_at = s->dh + row * s->width + unit;
    fs_gate z = fs_gate_of(rec, fs_back_kept(s, row, unit, FS_GRU_KEPT, 0), s->rec, values);
    fs_gate r = fs_gate_of(rec, fs_back_kept(s, row, unit, FS_GRU_KEPT, 1), s->rec, values);
    fs_gate candidate = fs_gate_of(act, fs_back_kept(s, row, unit, FS_GRU_KEPT, 2), s->act, values);
    vf inner = fs_back_kept(s, row, unit, FS_GRU_KEPT, 3);
    vf before = fs_load_if(fs_back_h(s, row, s->step - 1), unit, H);
    vf dh = v_add(v_load(dh_at), fs_load_if(fs_back_dy(s, row), unit, H));
    vf d_candidate = v_mul(v_fnma(dh, z.value, dh), candidate.slope);
    fs_store_units(dz, unit, H, v_mul(v_mul(dh, v_sub(before, candidate.value)), z.slope));
    fs_store_units(dz + H, unit, H, v_mul(v_mul(d_candidate, inner), r.slope));
    fs_store_units(dz + 2 * H, unit, H, d_candidate);
    fs_store_units(dz + 3 * H, unit, H, v_mul(d_candidate, r.value));
    v_store(dh_at, v_mul(dh, z.value));
}
FS_BACK_UNITS(fs_gru_back)

static int fs_gru_backward(const fs_gru_backward_args *args, const fs_share *share)
{
    static const fs_cell_backward cell = {
        .units = {fs_gru_back}, .phase_count = 1, .gates = 4, .unit_panels = 1, .kept = FS_GRU_KEPT};
    return fs_back((const fs_recurrent_backward_args *)args, share, &cell);
}

/* Reset before the product, first phase: z and the candidate. */
FS_INLINE void fs_gru_before_back_units(const fs_back_run *s, int64_t row, int64_t unit, int act, int rec, int values)
{
    int64_t H = s->a->units;
    float *dz = fs_back_dz(s, row), *dh_at = s->dh + row * s->width + unit;
    fs_gate z = fs_gate_of(rec, fs_back_kept(s, row, unit, FS_GRU_RESET_BEFORE_KEPT, 0), s->rec, values);
    fs_gate candidate = fs_gate_of(act, fs_back_kept(s, row, unit, FS_GRU_RESET_BEFORE_KEPT, 2), s->act, values);
    vf before = fs_load_if(fs_back_h(s, row, s->step - 1), unit, H);
    vf dh = v_add(v_load(dh_at), fs_load_if(fs_back_dy(s, row), unit, H));
    fs_store_units(dz, unit, H, v_mul(v_mul(dh, v_sub(before, candidate.value)), z.slope));
    fs_store_units(dz + 2 * H, unit, H, v_mul(v_fnma(dh, z.value, dh), candidate.slope));
    v_store(dh_at, v_mul(dh, z.value));
}
FS_BACK_UNITS(fs_gru_before_back)

/* Second phase: r, from the gradient of r * h that the candidate's product gave. */
FS_INLINE void fs_gru_reset_back_units(const fs_back_run *s, int64_t row, int64_t unit, int act, int rec, int values)
{
    (void)act;
    int64_t H = s->a->units;
    float *dh_at = s->dh + row * s->width + unit;
    fs_gate r = fs_gate_of(rec, fs_back_kept(s, row, unit, FS_GRU_RESET_BEFORE_KEPT, 1), s->rec, values);
    vf before = fs_load_if(fs_back_h(s, row, s->step - 1), unit, H);
    vf d_product = v_load(s->dc + row * s->width + unit);
    fs_store_units(fs_back_dz(s, row) + H, unit, H, v_mul(v_mul(d_product, before), r.slope));
    v_store(dh_at, v_fma(d_product, r.value, v_load(dh_at)));
    if (s->a->reset_h)
        fs_store_units(s->a->reset_h + (row * s->a->timesteps + s->step) * H, unit, H, v_mul(r.value, before));
}
FS_BACK_UNITS(fs_gru_reset_back)

static int fs_gru_reset_before_backward(const fs_gru_reset_before_backward_args *args, const fs_share *share)
{
    static const fs_cell_backward cell = {
        .units = {fs_gru_before_back, fs_gru_reset_back}, .phase_count = 2, .gates = 3, .unit_panels = 4,
        .kept = FS_GRU_RESET_BEFORE_KEPT};
    return fs_back((const fs_recurrent_backward_args *)args, share, &cell);
}
