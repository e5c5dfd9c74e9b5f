/* Random numbers from a counter, so that they repeat for a seed whatever the threads.
   Two rounds of fs_mix over (seed, count, position). */
#include <math.h>

static int fs_random(const fs_random_args *a, const fs_share *share)
{
    (void)share;
    uint64_t count = __atomic_fetch_add(&a->state[1], 1u, __ATOMIC_RELAXED);
    uint64_t key = fs_mix(((uint64_t)a->state[0] << 32) + count + 0x9E3779B97F4A7C15ull);
    for (int64_t i = 0; i < a->count; i++) {
        uint64_t bits = fs_mix(key + (uint64_t)i * 0x9E3779B97F4A7C15ull);
        double u = (double)(bits >> 40) * 0x1p-24, v = (double)(bits & 0xFFFFFF) * 0x1p-24; /* [0, 1) */
        if (a->kind == FS_RANDOM_KEEP)
            a->y[i] = u >= (double)a->p0 ? a->p1 : 0.0f;
        else /* Box & Muller 1958; 1 - u is never 0 */
            a->y[i] = a->p0 + a->p1 * (float)(sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v));
    }
    return 0;
}
