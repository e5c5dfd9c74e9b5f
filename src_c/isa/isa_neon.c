/* The kernels for neon; setup.py gives this file its compiler flags. */
#include "../simd/simd_neon.h"
#include "../kernels/kernels_inl.h"
