/* Measures what one core of this machine can do: prints GFLOP/s of fused multiply-adds in registers. */
#include <stdio.h>
#include <time.h>
#if defined(__aarch64__)
#define REGISTER "+w"
#else
#define REGISTER "+v"
#endif
#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX2__)
#define WIDTH 8
#else
#define WIDTH 4
#endif
typedef float vec __attribute__((vector_size(WIDTH * 4)));
/* Twelve chains: more than a latency of 4 times 2 units. Names, not an array, so that every one stays in a register. */
#define CHAINS 12
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define START(i) vec a##i = {(float)i};
#define STEP(i)                                                                                                        \
    a##i = a##i * x + y;                                                                                               \
    __asm__ volatile("" : REGISTER(a##i));
#define SUM(i) +a##i[0]

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void)
{
    EACH(START)
    vec x = {0}, y = {0};
    x += 0.999f;
    y += 0.001f;
    double best = 0;
    for (int round = 0; round < 30; round++) {
        const long count = 4000000;
        double start = now();
        for (long k = 0; k < count; k++) {
            EACH(STEP)
        }
        double rate = 2.0 * WIDTH * CHAINS * (double)count / (now() - start) / 1e9;
        if (rate > best)
            best = rate;
    }
    printf("%.1f\n", (0 EACH(SUM)) == 12345.0f ? 0.0 : best);
    return 0;
}
