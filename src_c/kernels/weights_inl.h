/* The form in which packed weights lie in memory, and all that a kernel's body may do with one. This file is the form
   float32. Another form is a file of its own with the same words, weights_<form>_inl.h; setup.py compiles each
   isa_<isa>.c once more for it, with FS_WEIGHTS as that file's name. README.md tells what else a form has.

   FS_FORM       the form's name, as the lists of abi/ops.h have it
   fs_weight     a weight as it lies in memory; bodies walk over arrays of it, and read them with w_load alone
   W_BYTES       its bytes, for what fits a cache
   w_load(w)     the VLEN weights from w on as float32: a vector of a panel's 16

   Biases, looked-up sums, states and traces are float32 in every form, and read with v_load. */
#ifdef FS_WEIGHTS
#include FS_WEIGHTS
#endif

#ifndef FS_FORM
#define FS_FORM f32
typedef float fs_weight;
FS_INLINE vf w_load(const fs_weight *w) { return v_load(w); }
#endif

#define W_BYTES ((int64_t)sizeof(fs_weight))
