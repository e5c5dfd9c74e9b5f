/* All functions of simd/simd_functions.h over arrays, for tests/native/test_simd_functions.py, which compiles this file
   once for each instruction set, WORDS being its words.

   `simd_functions <kind> <name>` reads numbers from stdin and writes results to stdout: kind is unary, binary,
   int_unary or int_binary; the inputs are one array of 4-byte numbers, or two of the same size, one after the other.
   Results are as the functions give them, not passed through v_one_nan. Without arguments it prints "<kind> <name>" of
   each function. Exit code 2: the CPU lacks the instruction set. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include WORDS
#include "simd/simd_functions.h"

#define CASE_UNARY(NAME, name)                                                                                         \
    static void unary_##name(const float *x, float *out, int64_t n)                                                    \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i += VLEN)                                                                          \
            v_store(out + i, v_##name(v_load(x + i)));                                                                 \
    }
#define CASE_BINARY(NAME, name)                                                                                        \
    static void binary_##name(const float *x, const float *y, float *out, int64_t n)                                   \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i += VLEN)                                                                          \
            v_store(out + i, v_##name(v_load(x + i), v_load(y + i)));                                                  \
    }
#define CASE_INT_UNARY(NAME, name)                                                                                     \
    static void int_unary_##name(const int32_t *x, int32_t *out, int64_t n)                                            \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            out[i] = fs_int_##name(x[i]);                                                                              \
    }
#define CASE_INT_BINARY(NAME, name)                                                                                    \
    static void int_binary_##name(const int32_t *x, const int32_t *y, int32_t *out, int64_t n)                         \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            out[i] = fs_int_##name(x[i], y[i]);                                                                        \
    }
FS_UNARY_FUNCTIONS(CASE_UNARY)
FS_BINARY_FUNCTIONS(CASE_BINARY)
FS_INT_UNARY_FUNCTIONS(CASE_INT_UNARY)
FS_INT_BINARY_FUNCTIONS(CASE_INT_BINARY)

typedef struct {
    const char *kind, *name;
    void (*unary)(const float *, float *, int64_t);
    void (*binary)(const float *, const float *, float *, int64_t);
    void (*int_unary)(const int32_t *, int32_t *, int64_t);
    void (*int_binary)(const int32_t *, const int32_t *, int32_t *, int64_t);
} function;
#define ROW_UNARY(NAME, f) {.kind = "unary", .name = #f, .unary = unary_##f},
#define ROW_BINARY(NAME, f) {.kind = "binary", .name = #f, .binary = binary_##f},
#define ROW_INT_UNARY(NAME, f) {.kind = "int_unary", .name = #f, .int_unary = int_unary_##f},
#define ROW_INT_BINARY(NAME, f) {.kind = "int_binary", .name = #f, .int_binary = int_binary_##f},
static const function functions[] = {FS_UNARY_FUNCTIONS(ROW_UNARY) FS_BINARY_FUNCTIONS(ROW_BINARY)
                                         FS_INT_UNARY_FUNCTIONS(ROW_INT_UNARY)
                                             FS_INT_BINARY_FUNCTIONS(ROW_INT_BINARY)};

/* All of stdin; the last vector of it may be short, so there is room for one more. */
static char *all_input(int64_t *size)
{
    int64_t room = 1 << 20;
    char *data = malloc((size_t)room);
    *size = 0;
    for (size_t got; (got = fread(data + *size, 1, (size_t)(room - *size - 64), stdin)) != 0;) {
        *size += (int64_t)got;
        if (room - *size <= 64)
            data = realloc(data, (size_t)(room *= 2));
    }
    return data;
}

static void run(const function *f, char *data, int64_t size)
{
    const int64_t n = size / 4 / (f->binary || f->int_binary ? 2 : 1);
    char *out = malloc((size_t)n * 4 + 64);
    const unsigned mode = v_ftz_begin();
    if (f->unary)
        f->unary((const float *)data, (float *)out, n);
    else if (f->binary)
        f->binary((const float *)data, (const float *)data + n, (float *)out, n);
    else if (f->int_unary)
        f->int_unary((const int32_t *)data, (int32_t *)out, n);
    else
        f->int_binary((const int32_t *)data, (const int32_t *)data + n, (int32_t *)out, n);
    v_ftz_end(mode);
    fwrite(out, 4, (size_t)n, stdout);
    free(out);
}

/* Compiled with the flags of the instruction set, so it must use nothing of it before it knows. */
static int has_cpu(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#endif
    return 1;
}

int main(int argc, char **argv)
{
    const size_t count = sizeof functions / sizeof *functions;
    if (!has_cpu())
        return 2;
    for (size_t i = 0; argc < 3 && i < count; i++)
        printf("%s %s\n", functions[i].kind, functions[i].name);
    for (size_t i = 0; argc == 3 && i < count; i++)
        if (strcmp(functions[i].kind, argv[1]) == 0 && strcmp(functions[i].name, argv[2]) == 0) {
            int64_t size;
            char *data = all_input(&size);
            run(functions + i, data, size);
            free(data);
        }
    return 0;
}
