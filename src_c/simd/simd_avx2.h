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

/* Doubles: half as many per vector. Words that round what `vd` holds to floats are in simd_doubles.h. */
typedef __m256d vd;
typedef __m256i vl; /* the bits of vd, as 64-bit integers */
typedef __m256d vdm; /* all bits of a lane set or none */
FS_INLINE vd vd_low(vf a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
FS_INLINE vd vd_high(vf a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
FS_INLINE vf v_join(vd low, vd high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}
FS_INLINE vd vd_load(const double *p) { return _mm256_loadu_pd(p); }
FS_INLINE void vd_store(double *p, vd a) { _mm256_storeu_pd(p, a); }
FS_INLINE vd vd_set1(double a) { return _mm256_set1_pd(a); }
FS_INLINE vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
FS_INLINE vd vd_sub(vd a, vd b) { return _mm256_sub_pd(a, b); }
FS_INLINE vd vd_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
FS_INLINE vd vd_div(vd a, vd b) { return _mm256_div_pd(a, b); }
FS_INLINE vd vd_sqrt(vd a) { return _mm256_sqrt_pd(a); }
FS_INLINE vd vd_min(vd a, vd b) { return _mm256_min_pd(a, b); } /* b if either is NaN, as v_min */
FS_INLINE vd vd_max(vd a, vd b) { return _mm256_max_pd(a, b); }
FS_INLINE vd vd_abs(vd a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
FS_INLINE vd vd_copysign(vd m, vd s) { return _mm256_or_pd(vd_abs(m), _mm256_and_pd(_mm256_set1_pd(-0.0), s)); }
FS_INLINE vdm vd_lt(vd a, vd b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
FS_INLINE vdm vd_le(vd a, vd b) { return _mm256_cmp_pd(a, b, _CMP_LE_OQ); }
FS_INLINE vdm vd_eq(vd a, vd b) { return _mm256_cmp_pd(a, b, _CMP_EQ_OQ); }
FS_INLINE vd vd_select(vdm m, vd a, vd b) { return _mm256_blendv_pd(b, a, m); } /* m ? a : b */
FS_INLINE int vd_any(vdm m) { return _mm256_movemask_pd(m) != 0; }
FS_INLINE vl vd_bits(vd a) { return _mm256_castpd_si256(a); }
FS_INLINE vd vd_of_bits(vl a) { return _mm256_castsi256_pd(a); }
FS_INLINE vl vl_set1(int64_t a) { return _mm256_set1_epi64x(a); }
FS_INLINE vl vl_add(vl a, vl b) { return _mm256_add_epi64(a, b); }
FS_INLINE vl vl_sub(vl a, vl b) { return _mm256_sub_epi64(a, b); }
FS_INLINE vl vl_and(vl a, vl b) { return _mm256_and_si256(a, b); }
FS_INLINE vl vl_or(vl a, vl b) { return _mm256_or_si256(a, b); }
FS_INLINE vl vl_xor(vl a, vl b) { return _mm256_xor_si256(a, b); }
FS_INLINE vl vl_shl(vl a, int n) { return _mm256_slli_epi64(a, n); }
FS_INLINE vl vl_shru(vl a, int n) { return _mm256_srli_epi64(a, n); }

#include "simd/mode.h"
#endif
