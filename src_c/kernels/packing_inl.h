/* Weights into panels, for those that change with every step; fastseq/program/packing.py has the layouts. */

/* Rows [first, first + count) of one panel of one gate, `units` of its 16 units; a row's 16 weights go `apart` from the
   next one's. Blocks of 16 by 16: where x has a row's units far apart, its lines are read whole all the same. */
static void fs_pack_panel(const fs_pack_args *a, const float *x, float *y, int64_t apart, int units)
{
    for (int64_t first = 0; first < a->rows; first += FS_PANEL) {
        int64_t last = a->rows - first < FS_PANEL ? a->rows : first + FS_PANEL;
        if (a->x_unit == 1) {
            for (int64_t k = first; k < last; k++)
                for (int lane = 0; lane < FS_PANEL; lane += VLEN)
                    v_store(y + k * apart + lane, fs_load_units(x + k * a->x_k, lane, units));
            continue;
        }
        for (int u = 0; u < FS_PANEL; u++)
            for (int64_t k = first; k < last; k++)
                y[k * apart + u] = u < units ? x[k * a->x_k + u * a->x_unit] : 0.0f;
    }
}

/* Threads own panels. */
static int fs_pack(const fs_pack_args *a, const fs_share *share)
{
    for (int64_t panel = share->row_lo; panel < share->row_hi; panel++) {
        int64_t group = panel / a->beside * a->beside, width = a->gates * FS_PANEL;
        int64_t beside = a->panels - group < a->beside ? a->panels - group : a->beside;
        int64_t left = a->units - panel * FS_PANEL;
        int units = left < 0 ? 0 : left < FS_PANEL ? (int)left : FS_PANEL;
        float *y = a->y + group * width * a->rows + (panel - group) * width;
        for (int64_t gate = 0; gate < a->gates; gate++)
            fs_pack_panel(a, a->x + gate * a->x_gate + (units ? panel * FS_PANEL * a->x_unit : 0), y + gate * FS_PANEL,
                          beside * width, units);
    }
    return 0;
}
