/* Parts of a vector on x86-64: what AVX2 and AVX-512 share. */
#ifndef FS_X86_PARTS
#define FS_X86_PARTS

/* Stores the first n of 8 lanes, 0 <= n <= 8, in pieces of 4, 2 and 1: a masked store to memory that is not in L1 takes
   20 ns on Zen 5, three plain ones do not. */
static inline __attribute__((always_inline, unused)) void fs_store_part8(float *p, int n, __m256 a)
{
    if (n >= 8) {
        _mm256_storeu_ps(p, a);
        return;
    }
    __m128 low = _mm256_castps256_ps128(a);
    if (n & 4) {
        _mm_storeu_ps(p, low);
        low = _mm256_extractf128_ps(a, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)p, low);
        low = _mm_movehl_ps(low, low);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, low);
}

/* Lanes folded in half until one is left. */
static inline __attribute__((always_inline, unused)) float fs_fold_sum8(__m256 a)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
static inline __attribute__((always_inline, unused)) float fs_fold_max8(__m256 a)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}
#endif
