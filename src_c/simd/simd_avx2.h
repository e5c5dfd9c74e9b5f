/* The words of the kernels for x86-64 with AVX2 and FMA: 8 floats per vector. */
#ifndef FS_SIMD_WORDS
#define FS_SIMD_WORDS
#include <immintrin.h>
#include <stdint.h>
#include "simd/x86_parts.h"

#define FS_ISA avx2
#define FS_HAS_FMA 1
#define VLEN 8
#define FS_INLINE static inline __attribute__((always_inline, unused))

typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm; /* all bits of a lane set or none */

/* The compiler must have the value in a register here. */
#define V_IN_REGISTER(a) __asm__("" : "+x"(a))

FS_INLINE vf v_load(const float *p) { return _mm256_loadu_ps(p); }
FS_INLINE void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }

/* 0 <= n <= VLEN; lanes from n on read as 0 and are never touched in memory. */
FS_INLINE vi v_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FS_INLINE vf v_load_part(const float *p, int n) { return _mm256_maskload_ps(p, v_first(n)); }
FS_INLINE void v_store_part(float *p, int n, vf a) { fs_store_part8(p, n, a); }

FS_INLINE vf v_set1(float a) { return _mm256_set1_ps(a); }
FS_INLINE vf v_bcast(const float *p) { return _mm256_broadcast_ss(p); }
FS_INLINE vf v_zero(void) { return _mm256_setzero_ps(); }

FS_INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
FS_INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
FS_INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
FS_INLINE vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
FS_INLINE vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
FS_INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }   /* a * b + c */
FS_INLINE vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); } /* c - a * b */

/* a < b ? a : b and a > b ? a : b: b if either is NaN, so a constant goes first to let NaN data through. */
FS_INLINE vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
FS_INLINE vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }

FS_INLINE vf v_as_float(vi a) { return _mm256_castsi256_ps(a); }
FS_INLINE vi v_as_int(vf a) { return _mm256_castps_si256(a); }
FS_INLINE vi vi_set1(int32_t a) { return _mm256_set1_epi32(a); }
FS_INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
FS_INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
FS_INLINE vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
FS_INLINE vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
FS_INLINE vi vi_shl(vi a, int n) { return _mm256_slli_epi32(a, n); }
FS_INLINE vi vi_shr(vi a, int n) { return _mm256_srai_epi32(a, n); } /* keeps the sign */
FS_INLINE vi vi_shru(vi a, int n) { return _mm256_srli_epi32(a, n); }
FS_INLINE vf v_from_int(vi a) { return _mm256_cvtepi32_ps(a); }

FS_INLINE vf v_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
FS_INLINE vf v_neg(vf a) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a); }
FS_INLINE vf v_copysign(vf m, vf s)
{
    return _mm256_or_ps(v_abs(m), _mm256_and_ps(_mm256_set1_ps(-0.0f), s));
}

FS_INLINE vm v_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
FS_INLINE vm v_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
FS_INLINE vm v_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
FS_INLINE vm v_ge(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
FS_INLINE vm v_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
FS_INLINE vm v_isnan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
FS_INLINE vf v_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); } /* m ? a : b */

/* The lanes folded in half until one is left. */
FS_INLINE float v_fold_sum(vf a) { return fs_fold_sum8(a); }
FS_INLINE float v_fold_max(vf a) { return fs_fold_max8(a); }

#include "simd/mode.h"
#endif
