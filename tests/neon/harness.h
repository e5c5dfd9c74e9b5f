/* What the cases share: memory, input that is the same on every machine, and one printed line per case. */
#ifndef HARNESS_H
#define HARNESS_H
#include "abi/fastseq.h"
#include <math.h>
#include <stddef.h>

#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof *(array)))

/* Starts a case: its name, printf-like, seeds the numbers, and all memory of the case before is free again. */
__attribute__((format(printf, 1, 2))) void begin(const char *format, ...);

/* Runs the op on at most `threads` threads and prints "<form>_<op> <case> <kernel> <hash of status, failure and
   outputs>". */
void finish(int op, const void *args, int threads);

/* Inputs: floats uniform in [-scale, scale]; ints in [0, limit); bytes 0 or 1, three of four 1. */
float *floats_in(int64_t count, float scale);
int32_t *ints_in(int64_t count, int32_t limit);
uint8_t *bytes_in(int64_t count);
/* Ordinary floats, and in between zeros, infinities, NaN, and numbers from the smallest normal one to the largest. */
float *odd_floats_in(int64_t count);

/* Outputs, hashed by `finish`; every NaN hashes alike, because a NaN that an operation makes is negative on x86 and
   positive on Arm. Scratch is not hashed. */
float *floats_out(int64_t count);
int32_t *ints_out(int64_t count);
uint8_t *bytes_out(int64_t count);
float *scratch(int64_t count);

void recurrent_cases(void);
void general_cases(void);
void dense_cases(void);
void convolution_cases(void);
void activation_cases(void);
void elementwise_cases(void);
void id_and_mask_cases(void);
void optimizer_cases(void);
void backward_cases(void);
void loss_cases(void);
void places_cases(void);
void chain_cases(void);
void ctc_cases(void);
void normalization_cases(void);
void attention_cases(void);
void pooling_cases(void);
#endif
