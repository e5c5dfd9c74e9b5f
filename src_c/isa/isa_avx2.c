/* The kernels for avx2: the words, the bodies, the table. setup.py gives this file its compiler flags. */
#include "simd/simd_avx2.h"

#include "kernels/kernels_inl.h"

#include "isa/kernel_list.h"
