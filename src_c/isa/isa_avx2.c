/* The kernels for avx2; setup.py gives this file its compiler flags. */
#include "../simd/simd_avx2.h"
#include "../kernels/kernels_inl.h"
