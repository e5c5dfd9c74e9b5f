/* The kernels for neon: the words, the bodies, the table. setup.py gives this file its compiler flags. */
#include "simd/simd_neon.h"

#include "kernels/kernels_inl.h"

#include "isa/kernel_list.h"
