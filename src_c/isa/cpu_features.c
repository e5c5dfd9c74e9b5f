/* Which instruction sets both the CPU and the operating system support. */
#include "isa/cpu_features.h"
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* XCR0: the register state that the OS saves on a context switch. */
static uint64_t saved_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

int fs_cpu_has(const char *isa)
{
    unsigned a, b, c, d;
    if (strcmp(isa, "scalar") == 0)
        return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA) || !(c & bit_AVX))
        return 0;
    uint64_t state = saved_state();
    if ((state & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) /* xmm, ymm */
        return 0;
    if (strcmp(isa, "avx2") == 0)
        return 1;
    unsigned wanted = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    if (strcmp(isa, "avx512") == 0)
        return (state & 0xE6) == 0xE6 && (b & wanted) == wanted; /* and opmask, both halves of zmm */
    return 0;
}
#else
int fs_cpu_has(const char *isa)
{
#if defined(__aarch64__)
    if (strcmp(isa, "neon") == 0) /* part of every AArch64 */
        return 1;
#endif
    return strcmp(isa, "scalar") == 0;
}
#endif
