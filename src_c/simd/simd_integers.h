/* Functions of int32, as NumPy has them. Sums and products wrap. */
#ifndef FS_SIMD_INTEGERS_H
#define FS_SIMD_INTEGERS_H
#include <stdint.h>

FS_INLINE int32_t fs_int_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
FS_INLINE int32_t fs_int_subtract(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
FS_INLINE int32_t fs_int_multiply(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }
FS_INLINE int32_t fs_int_minimum(int32_t a, int32_t b) { return a < b ? a : b; }
FS_INLINE int32_t fs_int_maximum(int32_t a, int32_t b) { return a > b ? a : b; }
FS_INLINE int32_t fs_int_negative(int32_t a) { return (int32_t)(0u - (uint32_t)a); }
/* The greatest integer not above a / b; 0 for b = 0. INT32_MIN / -1, which the CPU traps, wraps to INT32_MIN. */
FS_INLINE int32_t fs_int_floor_divide(int32_t a, int32_t b)
{
    if (b == 0 || b == -1)
        return b == 0 ? 0 : fs_int_negative(a);
    const int32_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}
/* With the sign of b; 0 for b = 0. */
FS_INLINE int32_t fs_int_mod(int32_t a, int32_t b)
{
    if (b == 0 || b == -1)
        return 0;
    const int32_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
/* With the sign of a, as C's %; 0 for b = 0. */
FS_INLINE int32_t fs_int_fmod(int32_t a, int32_t b) { return b == 0 || b == -1 ? 0 : a % b; }
/* a^b for b >= 0; NumPy refuses negative exponents, for which this is what is left of 1 / a^-b: 1, -1 or 0. */
FS_INLINE int32_t fs_int_power(int32_t a, int32_t b)
{
    uint32_t power = 1, square = (uint32_t)a;
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    for (uint32_t left = (uint32_t)b; left != 0; left >>= 1, square *= square)
        if (left & 1)
            power *= square;
    return (int32_t)power;
}
/* The greatest common divisor and the least common multiple, at least 0 where they fit. */
FS_INLINE int32_t fs_int_gcd(int32_t a, int32_t b)
{
    uint32_t x = a < 0 ? 0u - (uint32_t)a : (uint32_t)a, y = b < 0 ? 0u - (uint32_t)b : (uint32_t)b;
    while (y != 0) {
        const uint32_t rest = x % y;
        x = y;
        y = rest;
    }
    return (int32_t)x;
}
FS_INLINE int32_t fs_int_lcm(int32_t a, int32_t b)
{
    const uint32_t divisor = (uint32_t)fs_int_gcd(a, b);
    const uint32_t x = a < 0 ? 0u - (uint32_t)a : (uint32_t)a, y = b < 0 ? 0u - (uint32_t)b : (uint32_t)b;
    return divisor == 0 ? 0 : (int32_t)(x / divisor * y);
}
FS_INLINE int32_t fs_int_bitwise_and(int32_t a, int32_t b) { return a & b; }
FS_INLINE int32_t fs_int_bitwise_or(int32_t a, int32_t b) { return a | b; }
FS_INLINE int32_t fs_int_bitwise_xor(int32_t a, int32_t b) { return a ^ b; }
/* A shift by less than 0, or more than 31, leaves no bit: 0, or -1 where a negative number is shifted right. */
FS_INLINE int32_t fs_int_left_shift(int32_t a, int32_t b)
{
    return (uint32_t)b < 32 ? (int32_t)((uint32_t)a << b) : 0;
}
FS_INLINE int32_t fs_int_right_shift(int32_t a, int32_t b) { return a >> ((uint32_t)b < 32 ? b : 31); }

FS_INLINE int32_t fs_int_abs(int32_t a) { return a < 0 ? fs_int_negative(a) : a; } /* of INT32_MIN itself */
FS_INLINE int32_t fs_int_sign(int32_t a) { return (a > 0) - (a < 0); }
FS_INLINE int32_t fs_int_bitwise_not(int32_t a) { return ~a; }
FS_INLINE int32_t fs_int_square(int32_t a) { return fs_int_multiply(a, a); }
#endif
