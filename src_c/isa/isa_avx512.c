/* The kernels for avx512; setup.py gives this file its compiler flags. */
#include "../simd/simd_avx512.h"
#include "../kernels/kernels_inl.h"
