/* Elements by their places along an axis: taken, put, sorted, found, added up. */
#include "harness.h"

static void taken_and_put(int own, int each)
{
    begin("own%d-each%d", own, each);
    fs_gather_args take = {.outer = 3, .n = 7, .inner = 70, .count = 5, .own = own, .each = each, .size = 4};
    take.x = odd_floats_in(3 * 7 * 70);
    take.places = ints_in(3 * 5 * 70, 7);
    take.y = floats_out(3 * 5 * 70);
    finish(FS_OP_GATHER, &take, 2);
    begin("bytes-own%d-each%d", own, each);
    take.size = 1;
    take.x = bytes_in(3 * 7 * 70);
    take.places = ints_in(3 * 5 * 70, 7);
    take.y = bytes_out(3 * 5 * 70);
    finish(FS_OP_GATHER, &take, 1);
    for (int kind = FS_PUT_SET; kind <= FS_PUT_MINIMUM; kind++)
        for (int whole = 0; whole < 2; whole++) {
            begin("own%d-each%d-kind%d-whole%d", own, each, kind, whole);
            fs_scatter_args put = {.outer = 3, .n = 4, .inner = 70, .count = 9, .own = own, .each = each,
                                   .kind = kind, .whole = whole};
            put.x = kind == FS_PUT_ADD && own ? NULL
                    : whole                   ? (void *)ints_in(3 * 4 * 70, 1 << 30)
                                              : (void *)odd_floats_in(3 * 4 * 70);
            put.places = ints_in(3 * 9 * 70, 4);
            put.v = whole ? (void *)ints_in(3 * 9 * 70, 1 << 30) : (void *)odd_floats_in(3 * 9 * 70);
            put.y = whole ? (void *)ints_out(3 * 4 * 70) : (void *)floats_out(3 * 4 * 70);
            finish(FS_OP_SCATTER, &put, 2);
        }
}

static void sorted_and_found(int whole, int turned)
{
    static const int64_t sizes[][3] = {{1, 20, 20}, {60, 100, 3}, {60, 100, 100}};
    for (int i = 0; i < COUNT_OF(sizes); i++) {
        const int64_t inner = sizes[i][0] == 1 ? 1 : 2, n = sizes[i][1], best = sizes[i][2];
        begin("n%d-best%d-whole%d-turned%d", (int)n, (int)best, whole, turned);
        fs_argsort_args order = {.outer = 2, .n = n, .inner = inner, .best = best, .descending = turned, .whole = whole};
        order.x = whole ? (void *)ints_in(2 * n * inner, 30) : (void *)odd_floats_in(2 * n * inner);
        order.y = ints_out(2 * best * inner);
        order.scratch = scratch(2 * 4 * n);
        finish(FS_OP_ARGSORT, &order, 2);
    }
    begin("whole%d-right%d", whole, turned);
    fs_search_args search = {.n = 9, .count = 54, .right = turned, .whole = whole};
    static const float bounds[9] = {-3.0f, -1.0f, 0.0f, 0.0f, 1.0f, 1.0f, 3.0f, 20.0f, INFINITY};
    static const int32_t numbers[9] = {0, 1, 1, 5, 7, 7, 9, 20, 29};
    search.sequence = whole ? (const void *)numbers : (const void *)bounds;
    search.x = whole ? (void *)ints_in(54, 30) : (void *)odd_floats_in(54);
    search.y = ints_out(54);
    finish(FS_OP_SEARCH, &search, 2);
}

static void cumulated(int whole, int backwards)
{
    for (int kind = FS_CUMULATED_SUM; kind <= FS_CUMULATED_PROD; kind++) {
        begin("kind%d-whole%d-backwards%d", kind, whole, backwards);
        fs_cumulate_args sums = {.outer = 2, .n = 11, .inner = 70, .kind = kind, .backwards = backwards, .whole = whole};
        sums.x = whole ? (void *)ints_in(2 * 11 * 70, 1 << 30) : (void *)odd_floats_in(2 * 11 * 70);
        sums.y = whole ? (void *)ints_out(2 * 11 * 70) : (void *)floats_out(2 * 11 * 70);
        finish(FS_OP_CUMULATE, &sums, 2);
    }
}

void places_cases(void)
{
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++) {
            taken_and_put(a, b);
            sorted_and_found(a, b);
            cumulated(a, b);
        }
}
