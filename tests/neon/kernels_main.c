/* Runs every kernel of one instruction set on made-up numbers and prints a hash of what each computed, so that two
   machines can be compared: `kernels_main neon` on one, `kernels_main avx512` on the other. */
#include "harness.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY (64 << 20)
#define MAX_OUTPUTS 8

typedef struct {
    const unsigned char *data;
    int64_t bytes;
    int is_float;
} output;

static unsigned char *memory;
static int64_t used;
static output outputs[MAX_OUTPUTS];
static int output_count;
static char name[128];
static uint64_t state;

static uint64_t hash(uint64_t h, const void *data, int64_t bytes) /* FNV-1a */
{
    for (int64_t i = 0; i < bytes; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211ull;
    return h;
}

static uint64_t hash_output(uint64_t h, const output *o)
{
    if (!o->is_float)
        return hash(h, o->data, o->bytes);
    for (int64_t i = 0; i < o->bytes; i += 4) {
        float x;
        memcpy(&x, o->data + i, 4);
        h = x == x ? hash(h, &x, 4) : hash(h, "NaN", 4);
    }
    return h;
}

static void *take(int64_t bytes)
{
    void *p = memory + used;
    used += (bytes + 255) / 256 * 256 + 256;
    if (used > MEMORY) {
        fprintf(stderr, "%s: out of memory\n", name);
        exit(1);
    }
    return p;
}

static void *take_output(int64_t bytes, int is_float)
{
    void *p = take(bytes);
    if (output_count == MAX_OUTPUTS) {
        fprintf(stderr, "%s: too many outputs\n", name);
        exit(1);
    }
    memset(p, 0x5A, (size_t)bytes); /* what a kernel leaves out is the same everywhere too */
    outputs[output_count++] = (output){p, bytes, is_float};
    return p;
}

static uint32_t next(void) /* xorshift64*, the upper half */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 2685821657736338717ull) >> 32);
}

void begin(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    state = hash(14695981039346656037ull, name, (int64_t)strlen(name)) | 1;
    used = 0;
    output_count = 0;
}

void finish(int op, const void *args, int threads)
{
    fs_step step = {.op = op, .args = args};
    fs_failure failure = {0, 0, 0};
    int status = fs_run(&step, 1, threads, &failure);
    uint64_t h = hash(14695981039346656037ull, &status, sizeof status);
    h = hash(h, &failure, sizeof failure);
    for (int i = 0; i < output_count; i++)
        h = hash_output(h, &outputs[i]);
    const fs_op_info *info = fs_op_table(op);
    printf("%s_%s %s %s %016llx\n", info->form, info->name, name, fs_kernel_name(op), (unsigned long long)h);
}

float *floats_in(int64_t count, float scale)
{
    float *p = take(count * 4);
    for (int64_t i = 0; i < count; i++)
        p[i] = ((float)(next() >> 8) / 8388608.0f - 1.0f) * scale;
    return p;
}

float *odd_floats_in(int64_t count)
{
    static const float odd[] = {
        0.0f,   -0.0f,    INFINITY, -INFINITY, NAN, 1.17549435e-38f, -1.17549435e-38f, 3.40282347e38f, -3.40282347e38f,
        1e-30f, -1e-30f,  1e-7f,    -1e-7f,    88.7f, -87.3f,          -103.9f,          0.5f,           -0.5f,
        1.0f,   -1.0f,    3.0f,     -3.0f,     6.0f,  20.0f,           -20.0f,           1e10f,          -1e10f,
    };
    float *p = floats_in(count, 6.0f);
    for (int64_t i = 0; i < count; i += 2)
        p[i] = i / 2 < COUNT_OF(odd) ? odd[i / 2] : p[i];
    return p;
}

int32_t *ints_in(int64_t count, int32_t limit)
{
    int32_t *p = take(count * 4);
    for (int64_t i = 0; i < count; i++)
        p[i] = (int32_t)(next() % (uint32_t)limit);
    return p;
}

uint8_t *bytes_in(int64_t count)
{
    uint8_t *p = take(count);
    for (int64_t i = 0; i < count; i++)
        p[i] = next() % 4 != 0;
    return p;
}

float *floats_out(int64_t count) { return take_output(count * 4, 1); }
int32_t *ints_out(int64_t count) { return take_output(count * 4, 0); }
uint8_t *bytes_out(int64_t count) { return take_output(count, 0); }
float *scratch(int64_t count) { return memset(take(count * 4), 0, (size_t)count * 4); }

int main(int count, char **arguments)
{
    if (count != 2 || fs_select_isa(arguments[1])) {
        fprintf(stderr, "usage: %s ISA, one that this machine has\n", arguments[0]);
        return 2;
    }
    memory = malloc(MEMORY);
    if (!memory)
        return 1;
    for (int op = 0; fs_op_table(op); op++)
        printf("kernel %s_%s %s\n", fs_op_table(op)->form, fs_op_table(op)->name, fs_kernel_name(op));
    recurrent_cases();
    general_cases();
    dense_cases();
    convolution_cases();
    activation_cases();
    elementwise_cases();
    id_and_mask_cases();
    optimizer_cases();
    backward_cases();
    loss_cases();
    places_cases();
    chain_cases();
    ctc_cases();
    normalization_cases();
    attention_cases();
    pooling_cases();
    free(memory);
    return 0;
}
