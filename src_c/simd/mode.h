/* The floating-point mode, for every CPU; each simd_<isa>.h includes it. Denormals count as zero between begin and end,
   where the CPU has a switch for it that we know: one decaying state would make every later step 18 times slower. */
FS_INLINE unsigned v_ftz_begin(void)
{
#if defined(__SSE2__)
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040u);
    __asm__ volatile("" ::: "memory");
    return old;
#elif defined(__aarch64__)
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"(old | (UINT64_C(1) << 24)) : "memory");
    return (unsigned)old;
#else
    return 0;
#endif
}
FS_INLINE void v_ftz_end(unsigned old)
{
#if defined(__SSE2__)
    __asm__ volatile("" ::: "memory");
    _mm_setcsr(old);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)old) : "memory");
#else
    (void)old;
#endif
}
