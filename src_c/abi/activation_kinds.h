/* Every built-in activation, once: C reads this list as an enum, Python reads name -> number from it. The order is the
   number, so new rows go to the end of their part. Parameters p[] of each kind stand at its branch in
   kernels/activation_inl.h. */
#ifndef FS_ACTIVATION_KINDS_H
#define FS_ACTIVATION_KINDS_H

#define FS_ACTIVATIONS(X)                                                                                              \
    /* one element in, one element out */                                                                              \
    X(LINEAR, linear)                                                                                                  \
    X(TANH, tanh)                                                                                                      \
    X(SIGMOID, sigmoid)                                                                                                \
    X(RELU, relu)                                                                                                      \
    X(LEAKY_RELU, leaky_relu)                                                                                          \
    X(RELU6, relu6)                                                                                                    \
    X(ELU, elu)                                                                                                        \
    X(SELU, selu)                                                                                                      \
    X(CELU, celu)                                                                                                      \
    X(SOFTPLUS, softplus)                                                                                              \
    X(SOFTSIGN, softsign)                                                                                              \
    X(SQUAREPLUS, squareplus)                                                                                          \
    X(SOFT_SHRINK, soft_shrink)                                                                                        \
    X(HARD_SHRINK, hard_shrink)                                                                                        \
    X(SPARSE_PLUS, sparse_plus)                                                                                        \
    X(SILU, silu)                                                                                                      \
    X(GELU, gelu)                                                                                                      \
    X(GELU_TANH, gelu_tanh)                                                                                            \
    X(TANH_SHRINK, tanh_shrink)                                                                                        \
    X(THRESHOLD, threshold)                                                                                            \
    X(SPARSE_SIGMOID, sparse_sigmoid)                                                                                  \
    X(EXPONENTIAL, exponential)                                                                                        \
    X(HARD_SIGMOID, hard_sigmoid)                                                                                      \
    X(HARD_SIGMOID_KERAS2, hard_sigmoid_keras2)                                                                        \
    X(HARD_SILU, hard_silu)                                                                                            \
    X(HARD_TANH, hard_tanh)                                                                                            \
    X(MISH, mish)                                                                                                      \
    X(LOG_SIGMOID, log_sigmoid)                                                                                        \
    /* a whole row at a time */                                                                                        \
    X(SOFTMAX, softmax)                                                                                                \
    X(LOG_SOFTMAX, log_softmax)                                                                                        \
    X(SPARSEMAX, sparsemax)                                                                                            \
    X(GLU, glu)

enum fs_act_kind {
#define FS_ACT_ROW(upper, lower) FS_ACT_##upper,
    FS_ACTIVATIONS(FS_ACT_ROW)
#undef FS_ACT_ROW
        FS_ACT_COUNT
};

#define FS_ACT_FIRST_ROWWISE FS_ACT_SOFTMAX
#endif
