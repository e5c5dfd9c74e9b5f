/* Attention: blocks of keys that are full or not, heads that share keys, masks, and queries that begin further on. */
#include "harness.h"

static void run_attention(int64_t queries, int64_t keys, int64_t size, int causal, int masked, int threads)
{
    fs_attention_args a = {
        .batch = 2, .queries = queries, .keys = keys, .heads = 4, .group = 2, .size = size, .value_size = size + 3,
        .causal = causal, .scale = 0.3f, .q_batch = queries * 4 * size, .q_time = 4 * size, .q_head = size,
        .k_batch = keys * 2 * size, .k_time = 2 * size, .k_head = size, .v_batch = keys * 2 * (size + 3),
        .v_time = 2 * (size + 3), .v_head = size + 3, .m_batch = queries * keys, .m_time = keys, .m_key = 1,
    };
    a.q = floats_in(2 * a.q_batch, 1.0f);
    a.k = floats_in(2 * a.k_batch, 1.0f);
    a.v = floats_in(2 * a.v_batch, 1.0f);
    if (masked)
        a.mask = bytes_in(2 * queries * keys);
    if (causal && keys > queries) {
        float *place = floats_in(2, 1.0f);
        place[0] = 0.0f, place[1] = (float)(keys - queries);
        a.place = place;
    }
    a.y = floats_out(2 * queries * 4 * (size + 3));
    a.stats = floats_out(2 * queries * 4 * 2);
    finish(FS_OP_ATTENTION, &a, threads);
}

void attention_cases(void)
{
    static const int64_t shapes[][3] = {{1, 1, 1}, {5, 7, 3}, {70, 130, 16}, {1, 200, 64}, {33, 64, 70},
                                        {19, 44, 45}, {20, 112, 8}};
    for (int64_t s = 0; s < COUNT_OF(shapes); s++)
        for (int kind = 0; kind < 4; kind++) {
            begin("%dx%dx%d-%d", (int)shapes[s][0], (int)shapes[s][1], (int)shapes[s][2], kind);
            run_attention(shapes[s][0], shapes[s][1], shapes[s][2], kind & 1, kind >> 1, 1);
        }
    begin("threads");
    run_attention(300, 300, 32, 1, 0, 3);
}
