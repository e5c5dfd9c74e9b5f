/* Chains of elementwise operations, each alone and several together, and what is reduced of them. */
#include "harness.h"

#define SIZE (3 * 7 * 41)

static const char *const names[] = {
#define NAME(number, name, ...) #name,
    FS_CHAIN_KINDS(NAME)
#undef NAME
};

/* How many of the kinds come before the first one of int32, in the order of FS_CHAIN_KINDS. */
enum {
#define COUNTED(number, ...) COUNTED_##number,
    FS_CHAIN_FLOAT1(COUNTED) FS_CHAIN_FLOAT2(COUNTED) FS_CHAIN_FUNCTION1(COUNTED) FS_CHAIN_FUNCTION2(COUNTED)
    FS_CHAIN_COMPARE(COUNTED) FLOATS
#undef COUNTED
};

/* The sizes (1, 1, 3, 7, 41), x0 whole, x1 broadcast down dimension 3, x2 one element. */
static void lay_out(fs_chain_args *a, int whole)
{
    a->x0 = whole ? (void *)ints_in(SIZE, 1 << 30) : (void *)odd_floats_in(SIZE);
    a->x1 = whole ? (void *)ints_in(3 * 41, 40) : (void *)odd_floats_in(3 * 41);
    a->x2 = whole ? (void *)ints_in(1, 3) : (void *)floats_in(1, 2.0f);
    a->inputs = 3;
    a->n0 = a->n1 = 1, a->n2 = 3, a->n3 = 7, a->n4 = 41;
    a->s02 = 7 * 41, a->s03 = 41, a->s04 = 1;
    a->s12 = 41, a->s14 = 1;
}

static void one_kind(int kind, int whole)
{
    static int32_t code[2][5];
    begin("%s-whole%d", names[kind], whole);
    fs_elementwise_args e = {.instructions = 1, .outputs = 1};
    lay_out((fs_chain_args *)&e, whole);
    const int32_t rows[2][5] = {{kind, 3, 0, 1, 2}, {0, 3, 0, 0, 0}};
    for (int i = 0; i < 10; i++)
        code[i / 5][i % 5] = rows[i / 5][i % 5];
    e.code = code[0];
    e.y0 = floats_out(SIZE);
    finish(FS_OP_ELEMENTWISE, &e, 2);
}

static void several(void)
{
    static const int32_t code[6][5] = {{FS_CHAIN_MULTIPLY, 4, 0, 1, 0}, {FS_CHAIN_ADD, 5, 4, 3, 0},
                                       {FS_CHAIN_LESS, 6, 5, 2, 0},     {FS_CHAIN_ACTIVATION, 7, 5, FS_ACT_TANH, 0},
                                       {0, 7, 0, 0, 0},                 {0, 6, 0, 0, 0}};
    begin("several");
    fs_elementwise_args e = {.instructions = 4, .outputs = 2, .number_count = 1, .bytes_out = 2};
    lay_out((fs_chain_args *)&e, 0);
    e.code = code[0];
    e.numbers = floats_in(3, 2.0f);
    e.y0 = floats_out(SIZE);
    e.y1 = bytes_out(SIZE);
    finish(FS_OP_ELEMENTWISE, &e, 2);
}

static void reduced(int kind, int dimensions, int last)
{
    static const int32_t code[2][5] = {{FS_CHAIN_COPY, 3, 0, 0, 0}, {0, 3, 0, 0, 0}};
    const int whole = kind >= FS_REDUCED_SUM_I32;
    begin("kind%d-of%d", kind, dimensions);
    fs_reduce_args r = {.instructions = 1, .kind = kind, .reduced = dimensions, .last = last};
    lay_out((fs_chain_args *)&r, whole);
    r.code = code[0];
    r.y = whole ? (void *)ints_out(SIZE) : (void *)floats_out(SIZE);
    finish(FS_OP_REDUCE, &r, 2);
}

void chain_cases(void)
{
    for (int kind = 0; kind < COUNT_OF(names); kind++)
        if (kind != FS_CHAIN_ACTIVATION)
            one_kind(kind, kind >= FLOATS && kind != FS_CHAIN_ISNAN && kind != FS_CHAIN_TO_INT);
    several();
    for (int kind = 0; kind <= FS_REDUCED_ARGMIN_I32; kind++) {
        reduced(kind, 1 << 4, 1);
        reduced(kind, 1 << 3, 0);
        reduced(kind, 1 << 2, 0);
        reduced(kind, 1 << 2 | 1 << 4, 1);
        reduced(kind, 1 << 2 | 1 << 3 | 1 << 4, 1);
    }
}
