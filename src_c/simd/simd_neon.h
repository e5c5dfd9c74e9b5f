/* The words of the kernels for aarch64 (Advanced SIMD, always with FMA): 4 floats per vector. */
#ifndef FS_SIMD_WORDS
#define FS_SIMD_WORDS
#include <arm_neon.h>
#include <stdint.h>

#define FS_ISA neon
#define FS_HAS_FMA 1
#define VLEN 4
#define FS_INLINE static inline __attribute__((always_inline, unused))

typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm; /* all bits of a lane set or none */

/* The compiler must have the value in a register here. */
#define V_IN_REGISTER(a) __asm__("" : "+w"(a))

FS_INLINE vf v_load(const float *p) { return vld1q_f32(p); }
FS_INLINE void v_store(float *p, vf a) { vst1q_f32(p, a); }
FS_INLINE vf v_set1(float a) { return vdupq_n_f32(a); }
FS_INLINE vf v_bcast(const float *p) { return vld1q_dup_f32(p); }
FS_INLINE vf v_zero(void) { return vdupq_n_f32(0.0f); }

/* 0 <= n <= VLEN; lanes from n on read as 0 and are never touched in memory. */
FS_INLINE vf v_load_part(const float *p, int n)
{
    vf a = v_zero();
    if (n >= VLEN)
        return v_load(p);
    if (n > 0)
        a = vld1q_lane_f32(p, a, 0);
    if (n > 1)
        a = vld1q_lane_f32(p + 1, a, 1);
    if (n > 2)
        a = vld1q_lane_f32(p + 2, a, 2);
    return a;
}
FS_INLINE void v_store_part(float *p, int n, vf a)
{
    if (n >= VLEN) {
        v_store(p, a);
        return;
    }
    if (n > 0)
        vst1q_lane_f32(p, a, 0);
    if (n > 1)
        vst1q_lane_f32(p + 1, a, 1);
    if (n > 2)
        vst1q_lane_f32(p + 2, a, 2);
}

FS_INLINE vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
FS_INLINE vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
FS_INLINE vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
FS_INLINE vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
FS_INLINE vf v_sqrt(vf a) { return vsqrtq_f32(a); }
FS_INLINE vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }  /* a * b + c */
FS_INLINE vf v_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); } /* c - a * b */

/* a < b ? a : b and a > b ? a : b: b if either is NaN, so a constant goes first to let NaN data through.
   FMIN and FMAX would return NaN for either operand and order the zeros, unlike x86. The minimum of a and a
   changes nothing but a denormal under FPCR.FZ: x86 min and max flush theirs, a bit select does not. (Adding -0 would
   do the same, but gcc removes it.) */
FS_INLINE vf v_flush(vf a) { return vminq_f32(a, a); }
FS_INLINE vf v_min(vf a, vf b) { return v_flush(vbslq_f32(vcltq_f32(a, b), a, b)); }
FS_INLINE vf v_max(vf a, vf b) { return v_flush(vbslq_f32(vcgtq_f32(a, b), a, b)); }

FS_INLINE vf v_as_float(vi a) { return vreinterpretq_f32_s32(a); }
FS_INLINE vi v_as_int(vf a) { return vreinterpretq_s32_f32(a); }
FS_INLINE vi vi_set1(int32_t a) { return vdupq_n_s32(a); }
FS_INLINE vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
FS_INLINE vi vi_sub(vi a, vi b) { return vsubq_s32(a, b); }
FS_INLINE vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
FS_INLINE vi vi_or(vi a, vi b) { return vorrq_s32(a, b); }
FS_INLINE vi vi_shl(vi a, int n) { return vshlq_s32(a, vdupq_n_s32(n)); }
FS_INLINE vi vi_shr(vi a, int n) { return vshlq_s32(a, vdupq_n_s32(-n)); } /* keeps the sign */
FS_INLINE vi vi_shru(vi a, int n)
{
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-n)));
}
FS_INLINE vf v_from_int(vi a) { return vcvtq_f32_s32(a); }

FS_INLINE vf v_abs(vf a) { return vabsq_f32(a); }
FS_INLINE vf v_neg(vf a) { return vnegq_f32(a); }
FS_INLINE vf v_copysign(vf m, vf s) { return vbslq_f32(vdupq_n_u32(0x80000000u), s, m); }

FS_INLINE vm v_lt(vf a, vf b) { return vcltq_f32(a, b); }
FS_INLINE vm v_le(vf a, vf b) { return vcleq_f32(a, b); }
FS_INLINE vm v_gt(vf a, vf b) { return vcgtq_f32(a, b); }
FS_INLINE vm v_ge(vf a, vf b) { return vcgeq_f32(a, b); }
FS_INLINE vm v_eq(vf a, vf b) { return vceqq_f32(a, b); }
FS_INLINE vm v_isnan(vf a) { return vmvnq_u32(vceqq_f32(a, a)); }
FS_INLINE vf v_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); } /* m ? a : b */

/* The lanes folded in half until one is left. */
FS_INLINE float v_fold_sum(vf a)
{
    float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(b, 0) + vget_lane_f32(b, 1);
}
FS_INLINE float v_fold_max(vf a)
{
    float32x2_t b = vmax_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(vpmax_f32(b, b), 0);
}

/* Doubles: half as many per vector. Words that round what `vd` holds to floats are in simd_doubles.h. */
typedef float64x2_t vd;
typedef int64x2_t vl; /* the bits of vd, as 64-bit integers */
typedef uint64x2_t vdm; /* all bits of a lane set or none */
FS_INLINE vd vd_low(vf a) { return vcvt_f64_f32(vget_low_f32(a)); }
FS_INLINE vd vd_high(vf a) { return vcvt_high_f64_f32(a); }
FS_INLINE vf v_join(vd low, vd high) { return vcvt_high_f32_f64(vcvt_f32_f64(low), high); }
FS_INLINE vd vd_load(const double *p) { return vld1q_f64(p); }
FS_INLINE void vd_store(double *p, vd a) { vst1q_f64(p, a); }
FS_INLINE vd vd_set1(double a) { return vdupq_n_f64(a); }
FS_INLINE vd vd_add(vd a, vd b) { return vaddq_f64(a, b); }
FS_INLINE vd vd_sub(vd a, vd b) { return vsubq_f64(a, b); }
FS_INLINE vd vd_mul(vd a, vd b) { return vmulq_f64(a, b); }
FS_INLINE vd vd_div(vd a, vd b) { return vdivq_f64(a, b); }
FS_INLINE vd vd_sqrt(vd a) { return vsqrtq_f64(a); }
FS_INLINE vd vd_min(vd a, vd b) { return vbslq_f64(vcltq_f64(a, b), a, b); } /* b if either is NaN, as v_min */
FS_INLINE vd vd_max(vd a, vd b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }
FS_INLINE vd vd_abs(vd a) { return vabsq_f64(a); }
FS_INLINE vd vd_copysign(vd m, vd s) { return vbslq_f64(vdupq_n_u64(UINT64_C(1) << 63), s, m); }
FS_INLINE vdm vd_lt(vd a, vd b) { return vcltq_f64(a, b); }
FS_INLINE vdm vd_le(vd a, vd b) { return vcleq_f64(a, b); }
FS_INLINE vdm vd_eq(vd a, vd b) { return vceqq_f64(a, b); }
FS_INLINE vd vd_select(vdm m, vd a, vd b) { return vbslq_f64(m, a, b); } /* m ? a : b */
FS_INLINE int vd_any(vdm m) { return vmaxvq_u32(vreinterpretq_u32_u64(m)) != 0; }
FS_INLINE vl vd_bits(vd a) { return vreinterpretq_s64_f64(a); }
FS_INLINE vd vd_of_bits(vl a) { return vreinterpretq_f64_s64(a); }
FS_INLINE vl vl_set1(int64_t a) { return vdupq_n_s64(a); }
FS_INLINE vl vl_add(vl a, vl b) { return vaddq_s64(a, b); }
FS_INLINE vl vl_sub(vl a, vl b) { return vsubq_s64(a, b); }
FS_INLINE vl vl_and(vl a, vl b) { return vandq_s64(a, b); }
FS_INLINE vl vl_or(vl a, vl b) { return vorrq_s64(a, b); }
FS_INLINE vl vl_xor(vl a, vl b) { return veorq_s64(a, b); }
FS_INLINE vl vl_shl(vl a, int n) { return vshlq_s64(a, vdupq_n_s64(n)); }
FS_INLINE vl vl_shru(vl a, int n)
{
    return vreinterpretq_s64_u64(vshlq_u64(vreinterpretq_u64_s64(a), vdupq_n_s64(-n)));
}

#include "simd/mode.h"
#endif
