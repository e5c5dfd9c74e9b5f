/* Reads a working set of argv[1] bytes again and again with loads of a whole vector: prints the best GB/s. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__aarch64__)
#define REGISTER "w"
#else
#define REGISTER "v"
#endif
#if defined(__AVX512F__)
#define WIDTH 64
#elif defined(__AVX2__)
#define WIDTH 32
#else
#define WIDTH 16
#endif
typedef float vec __attribute__((vector_size(WIDTH), aligned(WIDTH)));
/* Eight loads in flight; an empty asm makes each one happen and keeps nothing else alive. */
#define LOAD(i)                                                                                                        \
    {                                                                                                                  \
        vec value = at[i];                                                                                             \
        __asm__ volatile("" : : REGISTER(value));                                                                      \
    }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int count, char **arguments)
{
    size_t bytes = count > 1 ? strtoul(arguments[1], NULL, 10) / (8 * WIDTH) * (8 * WIDTH) : 0;
    if (bytes == 0)
        return 1;
    vec *data = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!data)
        return 1;
    memset(data, 1, bytes);
    size_t vectors = bytes / WIDTH, passes = 1 + (size_t)200000000 / bytes; /* about 2 ms a round from L2 */
    double best = 0;
    for (int round = 0; round < 40; round++) {
        double start = now();
        for (size_t pass = 0; pass < passes; pass++)
            for (const vec *at = data; at < data + vectors; at += 8) {
                LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) LOAD(6) LOAD(7)
            }
        double rate = (double)bytes * (double)passes / (now() - start) / 1e9;
        if (rate > best)
            best = rate;
    }
    printf("%.1f\n", best);
    free(data);
    return 0;
}
