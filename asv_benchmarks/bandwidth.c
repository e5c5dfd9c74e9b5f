/* Reads and writes arrays of argv[1] bytes again and again, with loads and stores of a whole vector: prints the best
   GB/s, of bytes read and written together.

   argv[2]: arrays read, 1 to 4; argv[3]: arrays written, 0 or 1, with the sum of those read; argv[4]: how, "kept" in
   the caches, "streamed" past them, or "new" (memory that the system has just given, as a large result is); argv[5]:
   threads, each with its part of every array. Left out: 1 0 kept 1. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
#if defined(__AVX__)
#define STREAM(place, value) __asm__ volatile("vmovntps %1, %0" : "=m"(place) : REGISTER(value))
#elif defined(__SSE__)
#define STREAM(place, value) __asm__ volatile("movntps %1, %0" : "=m"(place) : "x"(value))
#else
#define STREAM(place, value) (place) = (value)
#endif
enum { MOST_READ = 4, MOST_THREADS = 64, UNROLLED = 8, ROUNDS = 40 };
typedef float vec __attribute__((vector_size(WIDTH), aligned(WIDTH)));
typedef enum { KEPT, STREAMED, NEW } stores;
typedef struct {
    const vec *read[MOST_READ]; /* [vectors] each */
    vec *write;                 /* [vectors] */
    size_t vectors, passes;
    int reads, writes;
    stores how;
    double begun[ROUNDS], done[ROUNDS];
} part;

static pthread_barrier_t meeting;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *memory(size_t bytes)
{
    void *found = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED)
        exit(1);
    madvise(found, bytes, MADV_HUGEPAGE); /* as NumPy does */
    return found;
}

/* Eight vectors in flight; an empty asm makes a load happen and keeps nothing else alive. */
static inline __attribute__((always_inline)) void over(const part *p, vec *y, int reads, int writes, int streamed)
{
    for (size_t i = 0; i < p->vectors; i += UNROLLED)
        for (size_t u = i; u < i + UNROLLED; u++) {
            vec value = p->read[0][u];
            for (int k = 1; k < reads; k++)
                value += p->read[k][u];
            if (!writes)
                __asm__ volatile("" : : REGISTER(value));
            else if (streamed)
                STREAM(y[u], value);
            else
                y[u] = value;
        }
}

static inline __attribute__((always_inline)) void over_all(const part *p, vec *y, int writes, int streamed)
{
    switch (p->reads) {
    case 1: over(p, y, 1, writes, streamed); break;
    case 2: over(p, y, 2, writes, streamed); break;
    case 3: over(p, y, 3, writes, streamed); break;
    default: over(p, y, 4, writes, streamed);
    }
}

static void one_pass(const part *p)
{
    size_t bytes = p->vectors * WIDTH;
    if (!p->writes) {
        over_all(p, NULL, 0, 0);
    } else if (p->how == NEW) {
        vec *fresh = memory(bytes);
        over_all(p, fresh, 1, 0);
        munmap(fresh, bytes);
    } else if (p->how == STREAMED) {
        over_all(p, p->write, 1, 1);
    } else {
        over_all(p, p->write, 1, 0);
    }
    __sync_synchronize();
}

static void *rounds(void *of)
{
    part *p = of;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&meeting);
        p->begun[round] = now();
        for (size_t pass = 0; pass < p->passes; pass++)
            one_pass(p);
        p->done[round] = now();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    const char *how = count > 4 ? arguments[4] : "kept";
    int reads = count > 2 ? atoi(arguments[2]) : 1, writes = count > 3 ? atoi(arguments[3]) : 0;
    int threads = count > 5 ? atoi(arguments[5]) : 1;
    if (count < 2 || reads < 1 || reads > MOST_READ || writes < 0 || writes > 1 || threads < 1 ||
        threads > MOST_THREADS)
        return 1;
    size_t step = UNROLLED * WIDTH * (size_t)threads, bytes = strtoul(arguments[1], NULL, 10) / step * step;
    if (bytes == 0)
        return 1;
    /* Arrays a little apart, so that their addresses do not agree in the bits by which caches find a line. */
    size_t apart = bytes + 4096 + 5 * 64, moved = bytes * (size_t)(reads + writes);
    size_t passes = 1 + (size_t)200000000 / moved; /* about 2 ms a round from L2 */
    char *data = memory(apart * (MOST_READ + 1) + 4096);
    memset(data, 1, apart * (size_t)(reads + writes));
    static part parts[MOST_THREADS];
    pthread_t running[MOST_THREADS];
    pthread_barrier_init(&meeting, NULL, (unsigned)threads);
    for (int t = 0; t < threads; t++) {
        part *p = &parts[t];
        p->vectors = bytes / WIDTH / (size_t)threads;
        p->passes = passes, p->reads = reads, p->writes = writes;
        p->how = strcmp(how, "new") == 0 ? NEW : strcmp(how, "streamed") == 0 ? STREAMED : KEPT;
        for (int k = 0; k < reads; k++)
            p->read[k] = (const vec *)(data + apart * (size_t)k) + p->vectors * (size_t)t;
        p->write = (vec *)(data + apart * (size_t)reads) + p->vectors * (size_t)t;
        if (t && pthread_create(&running[t], NULL, rounds, p))
            return 1;
    }
    rounds(&parts[0]);
    for (int t = 1; t < threads; t++)
        pthread_join(running[t], NULL);
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double begun = parts[0].begun[round], done = parts[0].done[round];
        for (int t = 1; t < threads; t++) {
            begun = parts[t].begun[round] < begun ? parts[t].begun[round] : begun;
            done = parts[t].done[round] > done ? parts[t].done[round] : done;
        }
        double rate = (double)moved * (double)passes / (done - begun) / 1e9;
        best = rate > best ? rate : best;
    }
    printf("%.1f\n", best);
    return 0;
}
