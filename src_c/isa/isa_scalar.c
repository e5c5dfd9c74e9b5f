/* The kernels for scalar; setup.py gives this file its compiler flags. */
#include "../simd/simd_scalar.h"
#include "../kernels/kernels_inl.h"
