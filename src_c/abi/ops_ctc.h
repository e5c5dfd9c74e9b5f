/* Connectionist temporal classification: its loss with the gradient, and what decodes. A row is a sequence of frames;
   rows go in at most `groups` groups, each with scratch of its own. */
#ifndef FS_OPS_CTC_H
#define FS_OPS_CTC_H

/* y = minus the logarithm of the probability of the labels, in nats, over all ways to lay them along the frames; and,
   where dx is wanted, dx = dy times its derivatives. `exact`: as Keras 2 has it: a path that ends elsewhere counts
   nothing, -inf is the logarithm of 0, and a row without labels, without time for them or with a label that is no class
   fails (FS_CTC_*). Without it as Keras 3 on TensorFlow: such a path counts 1e-307 (FS_CTC_ELSEWHERE), a label that is
   no class has the probability 1, and a logit that is not finite makes its row NaN. */
#define FS_CTC_LOSS_ARGS(IN, OUT, INT, NUM)                                                                            \
    IN(float, x, "(batch, timesteps, classes) logits") IN(int32_t, labels, "(batch, longest)")                         \
    IN(int32_t, label_lengths, "(batch,)") IN(int32_t, lengths, "(batch,)") IN(float, dy, "(batch,) or null")          \
    OUT(float, y, "(batch,) or null") OUT(float, dx, "(batch, timesteps, classes) or null")                            \
    OUT(void, scratch, "for each group, in doubles, (timesteps + 7 or, without dx, 8) wide + 3 deep")                  \
    INT(batch) INT(timesteps) INT(classes) INT(longest) INT(blank) INT(exact) INT(groups)                              \
    INT(wide) INT(deep) /* 2 longest + 1, and classes: each and FS_CTC_PAD more */

/* The most probable labels of each row, -1 behind them, and their scores. beams = 0: the largest logit of a frame, the
   score minus their sum; else a search that keeps so many prefixes, the score the logarithm of their probability.
   `merges`: labels that repeat, with no blank between, are one. Fails (FS_CTC_*) with more frames than there are, or
   with less paths than are wanted. */
#define FS_CTC_DECODE_ARGS(IN, OUT, INT, NUM)                                                                          \
    IN(float, x, "(batch, timesteps, classes) logits") IN(int32_t, lengths, "(batch,)")                                \
    OUT(int32_t, paths, "(top, batch, timesteps)") OUT(float, scores, "(batch, top)")                                  \
    OUT(void, scratch, "for each group 2 deep + 12 beams doubles, and 5 (timesteps beams + 1) int32")                  \
    INT(batch) INT(timesteps) INT(classes) INT(blank) INT(beams) INT(top) INT(merges) INT(groups)                      \
    INT(deep) INT(room) /* classes and FS_CTC_PAD more; doubles of scratch for each group */
#endif
