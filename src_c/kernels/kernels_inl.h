/* All kernel bodies, in the order they need each other. */
#include "../activation_kinds.h"
#include "../internal.h"
#include "../simd/simd_math.h"
#include "activation_inl.h"

#include "accumulate_inl.h"
#include "dense_inl.h"
#include "elementwise_inl.h"
#include "gather_inl.h"
#include "random_inl.h"
#include "recurrent_block_inl.h"
#include "recurrent_inl.h"
#include "lstm_inl.h"
#include "gru_inl.h"
#include "simple_rnn_inl.h"
#include "recurrent_general_inl.h"

#include "../kernel_list.h"
