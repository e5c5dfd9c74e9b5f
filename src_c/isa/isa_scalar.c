/* The kernels for scalar: the words, the bodies, the table. setup.py gives this file its compiler flags. */
#include "simd/simd_scalar.h"

#include "kernels/kernels_inl.h"

#include "isa/kernel_list.h"
