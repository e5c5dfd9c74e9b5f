/* The words of the kernels for x86-64 with AVX-512 F, BW, VL, DQ: 16 floats per vector. */
#ifndef FS_SIMD_WORDS
#define FS_SIMD_WORDS
#include <immintrin.h>
#include <stdint.h>
#include "simd/x86_parts.h"

#define FS_ISA avx512
#define FS_HAS_FMA 1
#define VLEN 16
#define FS_INLINE static inline __attribute__((always_inline, unused))

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

/* The compiler must have the value in a register here. */
#define V_IN_REGISTER(a) __asm__("" : "+v"(a))

FS_INLINE vf v_load(const float *p) { return _mm512_loadu_ps(p); }
FS_INLINE void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }

/* 0 <= n <= VLEN; lanes from n on read as 0 and are never touched in memory. */
FS_INLINE vm v_first(int n) { return (vm)((1u << n) - 1u); }
FS_INLINE vf v_load_part(const float *p, int n) { return _mm512_maskz_loadu_ps(v_first(n), p); }
FS_INLINE void v_store_part(float *p, int n, vf a)
{
    if (n >= 16) {
        _mm512_storeu_ps(p, a);
    } else if (n >= 8) {
        _mm256_storeu_ps(p, _mm512_castps512_ps256(a));
        fs_store_part8(p + 8, n - 8, _mm512_extractf32x8_ps(a, 1));
    } else {
        fs_store_part8(p, n, _mm512_castps512_ps256(a));
    }
}

FS_INLINE vf v_set1(float a) { return _mm512_set1_ps(a); }
FS_INLINE vf v_bcast(const float *p) { return _mm512_set1_ps(*p); }
FS_INLINE vf v_zero(void) { return _mm512_setzero_ps(); }

FS_INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
FS_INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
FS_INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
FS_INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
FS_INLINE vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
FS_INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }   /* a * b + c */
FS_INLINE vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); } /* c - a * b */

/* a < b ? a : b and a > b ? a : b: b if either is NaN, so a constant goes first to let NaN data through. */
FS_INLINE vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
FS_INLINE vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }

FS_INLINE vf v_as_float(vi a) { return _mm512_castsi512_ps(a); }
FS_INLINE vi v_as_int(vf a) { return _mm512_castps_si512(a); }
FS_INLINE vi vi_set1(int32_t a) { return _mm512_set1_epi32(a); }
FS_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
FS_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
FS_INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
FS_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
FS_INLINE vi vi_shl(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
FS_INLINE vi vi_shr(vi a, int n) { return _mm512_srai_epi32(a, (unsigned)n); } /* keeps the sign */
FS_INLINE vi vi_shru(vi a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
FS_INLINE vf v_from_int(vi a) { return _mm512_cvtepi32_ps(a); }

FS_INLINE vf v_abs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
FS_INLINE vf v_neg(vf a) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a); }
/* 0xD8: sign ? s : m, bit by bit, in one instruction. */
FS_INLINE vf v_copysign(vf m, vf s)
{
    vi bits = _mm512_ternarylogic_epi32(v_as_int(m), v_as_int(s), vi_set1((int32_t)0x80000000u), 0xD8);
    return v_as_float(bits);
}

FS_INLINE vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
FS_INLINE vm v_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
FS_INLINE vm v_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
FS_INLINE vm v_ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
FS_INLINE vm v_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
FS_INLINE vm v_isnan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
FS_INLINE vf v_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); } /* m ? a : b */

/* The lanes folded in half until one is left. */
FS_INLINE float v_fold_sum(vf a)
{
    return fs_fold_sum8(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
}
FS_INLINE float v_fold_max(vf a)
{
    return fs_fold_max8(_mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
}

/* Doubles: half as many per vector. Words that round what `vd` holds to floats are in simd_doubles.h. */
typedef __m512d vd;
typedef __m512i vl; /* the bits of vd, as 64-bit integers */
typedef __mmask8 vdm;
FS_INLINE vd vd_low(vf a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
FS_INLINE vd vd_high(vf a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
FS_INLINE vf v_join(vd low, vd high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}
FS_INLINE vd vd_load(const double *p) { return _mm512_loadu_pd(p); }
FS_INLINE void vd_store(double *p, vd a) { _mm512_storeu_pd(p, a); }
FS_INLINE vd vd_set1(double a) { return _mm512_set1_pd(a); }
FS_INLINE vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
FS_INLINE vd vd_sub(vd a, vd b) { return _mm512_sub_pd(a, b); }
FS_INLINE vd vd_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
FS_INLINE vd vd_div(vd a, vd b) { return _mm512_div_pd(a, b); }
FS_INLINE vd vd_sqrt(vd a) { return _mm512_sqrt_pd(a); }
FS_INLINE vd vd_min(vd a, vd b) { return _mm512_min_pd(a, b); } /* b if either is NaN, as v_min */
FS_INLINE vd vd_max(vd a, vd b) { return _mm512_max_pd(a, b); }
FS_INLINE vd vd_abs(vd a) { return _mm512_andnot_pd(_mm512_set1_pd(-0.0), a); }
FS_INLINE vd vd_copysign(vd m, vd s) { return _mm512_or_pd(vd_abs(m), _mm512_and_pd(_mm512_set1_pd(-0.0), s)); }
FS_INLINE vdm vd_lt(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
FS_INLINE vdm vd_le(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
FS_INLINE vdm vd_eq(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
FS_INLINE vd vd_select(vdm m, vd a, vd b) { return _mm512_mask_blend_pd(m, b, a); } /* m ? a : b */
FS_INLINE int vd_any(vdm m) { return m != 0; }
FS_INLINE vl vd_bits(vd a) { return _mm512_castpd_si512(a); }
FS_INLINE vd vd_of_bits(vl a) { return _mm512_castsi512_pd(a); }
FS_INLINE vl vl_set1(int64_t a) { return _mm512_set1_epi64(a); }
FS_INLINE vl vl_add(vl a, vl b) { return _mm512_add_epi64(a, b); }
FS_INLINE vl vl_sub(vl a, vl b) { return _mm512_sub_epi64(a, b); }
FS_INLINE vl vl_and(vl a, vl b) { return _mm512_and_si512(a, b); }
FS_INLINE vl vl_or(vl a, vl b) { return _mm512_or_si512(a, b); }
FS_INLINE vl vl_xor(vl a, vl b) { return _mm512_xor_si512(a, b); }
FS_INLINE vl vl_shl(vl a, int n) { return _mm512_slli_epi64(a, (unsigned)n); }
FS_INLINE vl vl_shru(vl a, int n) { return _mm512_srli_epi64(a, (unsigned)n); }

#include "simd/mode.h"
#endif
