/* The words of the kernels for any CPU, in the compiler's own vectors of 4 floats (SSE2 on x86-64). No FMA: results
   may differ in the last bits from the other ISAs. */
#ifndef FS_SIMD_WORDS
#define FS_SIMD_WORDS
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define FS_ISA scalar
#define FS_HAS_FMA 0
#define VLEN 4
#define FS_INLINE static inline __attribute__((always_inline, unused))

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t fs_vu __attribute__((vector_size(16)));
typedef vi vm; /* all bits of a lane set or none */

/* The compiler must have the value in a register here. */
#if defined(__SSE2__)
#define V_IN_REGISTER(a) __asm__("" : "+x"(a))
#else
#define V_IN_REGISTER(a) ((void)0)
#endif

FS_INLINE vf v_load(const float *p)
{
    vf a;
    memcpy(&a, p, sizeof a);
    return a;
}
FS_INLINE void v_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
FS_INLINE vf v_set1(float a) { return (vf){a, a, a, a}; }
FS_INLINE vf v_bcast(const float *p) { return v_set1(*p); }
FS_INLINE vf v_zero(void) { return (vf){0.0f, 0.0f, 0.0f, 0.0f}; }

/* 0 <= n <= VLEN; lanes from n on read as 0 and are never touched in memory. */
FS_INLINE vf v_load_part(const float *p, int n)
{
    return (vf){n > 0 ? p[0] : 0.0f, n > 1 ? p[1] : 0.0f, n > 2 ? p[2] : 0.0f, n > 3 ? p[3] : 0.0f};
}
FS_INLINE void v_store_part(float *p, int n, vf a)
{
    if (n > 0)
        p[0] = a[0];
    if (n > 1)
        p[1] = a[1];
    if (n > 2)
        p[2] = a[2];
    if (n > 3)
        p[3] = a[3];
}

FS_INLINE vf v_as_float(vi a) { return (vf)a; }
FS_INLINE vi v_as_int(vf a) { return (vi)a; }
FS_INLINE vi vi_set1(int32_t a) { return (vi){a, a, a, a}; }
/* Unsigned inside: integer sums wrap. */
FS_INLINE vi vi_add(vi a, vi b) { return (vi)((fs_vu)a + (fs_vu)b); }
FS_INLINE vi vi_sub(vi a, vi b) { return (vi)((fs_vu)a - (fs_vu)b); }
FS_INLINE vi vi_and(vi a, vi b) { return a & b; }
FS_INLINE vi vi_or(vi a, vi b) { return a | b; }
FS_INLINE vi vi_shl(vi a, int n) { return (vi)((fs_vu)a << n); }
FS_INLINE vi vi_shr(vi a, int n) { return a >> n; } /* keeps the sign */
FS_INLINE vi vi_shru(vi a, int n) { return (vi)((fs_vu)a >> n); }
FS_INLINE vf v_from_int(vi a) { return (vf){(float)a[0], (float)a[1], (float)a[2], (float)a[3]}; }

FS_INLINE vm v_lt(vf a, vf b) { return a < b; }
FS_INLINE vm v_le(vf a, vf b) { return a <= b; }
FS_INLINE vm v_gt(vf a, vf b) { return a > b; }
FS_INLINE vm v_ge(vf a, vf b) { return a >= b; }
FS_INLINE vm v_eq(vf a, vf b) { return a == b; }
FS_INLINE vm v_isnan(vf a) { return a != a; }
FS_INLINE vf v_select(vm m, vf a, vf b) { return (vf)(((vi)a & m) | ((vi)b & ~m)); } /* m ? a : b */

FS_INLINE vf v_add(vf a, vf b) { return a + b; }
FS_INLINE vf v_sub(vf a, vf b) { return a - b; }
FS_INLINE vf v_mul(vf a, vf b) { return a * b; }
FS_INLINE vf v_div(vf a, vf b) { return a / b; }
FS_INLINE vf v_sqrt(vf a)
{
#if defined(__SSE2__)
    return _mm_sqrt_ps(a);
#else
    return (vf){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])};
#endif
}
FS_INLINE vf v_fma(vf a, vf b, vf c) { return a * b + c; }  /* rounds twice */
FS_INLINE vf v_fnma(vf a, vf b, vf c) { return c - a * b; } /* rounds twice */

/* a < b ? a : b and a > b ? a : b: b if either is NaN, so a constant goes first to let NaN data through. */
#if defined(__SSE2__)
FS_INLINE vf v_min(vf a, vf b) { return _mm_min_ps(a, b); }
FS_INLINE vf v_max(vf a, vf b) { return _mm_max_ps(a, b); }
#else
FS_INLINE vf v_min(vf a, vf b) { return v_select(a < b, a, b); }
FS_INLINE vf v_max(vf a, vf b) { return v_select(a > b, a, b); }
#endif

FS_INLINE vf v_abs(vf a) { return (vf)((vi)a & vi_set1(0x7fffffff)); }
FS_INLINE vf v_neg(vf a) { return -a; }
FS_INLINE vf v_copysign(vf m, vf s) { return (vf)(((vi)m & vi_set1(0x7fffffff)) | ((vi)s & ~vi_set1(0x7fffffff))); }

/* The lanes folded in half until one is left. */
FS_INLINE float v_fold_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
FS_INLINE float v_fold_max(vf a)
{
    float b = a[0] > a[2] ? a[0] : a[2], c = a[1] > a[3] ? a[1] : a[3];
    return b > c ? b : c;
}

/* Doubles: half as many per vector. Words that round what `vd` holds to floats are in simd_doubles.h. */
typedef double vd __attribute__((vector_size(16)));
typedef int64_t vl __attribute__((vector_size(16))); /* the bits of vd, as 64-bit integers */
typedef uint64_t fs_vul __attribute__((vector_size(16)));
typedef vl vdm; /* all bits of a lane set or none */
FS_INLINE vd vd_low(vf a) { return (vd){a[0], a[1]}; }
FS_INLINE vd vd_high(vf a) { return (vd){a[2], a[3]}; }
FS_INLINE vf v_join(vd low, vd high) { return (vf){(float)low[0], (float)low[1], (float)high[0], (float)high[1]}; }
FS_INLINE vd vd_load(const double *p)
{
    vd a;
    memcpy(&a, p, sizeof a);
    return a;
}
FS_INLINE void vd_store(double *p, vd a) { memcpy(p, &a, sizeof a); }
FS_INLINE vd vd_set1(double a) { return (vd){a, a}; }
FS_INLINE vd vd_add(vd a, vd b) { return a + b; }
FS_INLINE vd vd_sub(vd a, vd b) { return a - b; }
FS_INLINE vd vd_mul(vd a, vd b) { return a * b; }
FS_INLINE vd vd_div(vd a, vd b) { return a / b; }
FS_INLINE vd vd_sqrt(vd a)
{
#if defined(__SSE2__)
    return _mm_sqrt_pd(a);
#else
    return (vd){sqrt(a[0]), sqrt(a[1])};
#endif
}
FS_INLINE vdm vd_lt(vd a, vd b) { return (vdm)(a < b); }
FS_INLINE vdm vd_le(vd a, vd b) { return (vdm)(a <= b); }
FS_INLINE vdm vd_eq(vd a, vd b) { return (vdm)(a == b); }
FS_INLINE vd vd_select(vdm m, vd a, vd b) { return (vd)(((vl)a & m) | ((vl)b & ~m)); } /* m ? a : b */
FS_INLINE int vd_any(vdm m) { return (m[0] | m[1]) != 0; }
FS_INLINE vd vd_min(vd a, vd b) { return vd_select(vd_lt(a, b), a, b); } /* b if either is NaN, as v_min */
FS_INLINE vd vd_max(vd a, vd b) { return vd_select(vd_lt(b, a), a, b); }
FS_INLINE vl vd_bits(vd a) { return (vl)a; }
FS_INLINE vd vd_of_bits(vl a) { return (vd)a; }
FS_INLINE vl vl_set1(int64_t a) { return (vl){a, a}; }
FS_INLINE vl vl_add(vl a, vl b) { return (vl)((fs_vul)a + (fs_vul)b); }
FS_INLINE vl vl_sub(vl a, vl b) { return (vl)((fs_vul)a - (fs_vul)b); }
FS_INLINE vl vl_and(vl a, vl b) { return a & b; }
FS_INLINE vl vl_or(vl a, vl b) { return a | b; }
FS_INLINE vl vl_xor(vl a, vl b) { return a ^ b; }
FS_INLINE vl vl_shl(vl a, int n) { return (vl)((fs_vul)a << n); }
FS_INLINE vl vl_shru(vl a, int n) { return (vl)((fs_vul)a >> n); }
FS_INLINE vd vd_abs(vd a) { return (vd)((vl)a & vl_set1(INT64_MAX)); }
FS_INLINE vd vd_copysign(vd m, vd s) { return (vd)(((vl)m & vl_set1(INT64_MAX)) | ((vl)s & vl_set1(INT64_MIN))); }

#include "simd/mode.h"
#endif
