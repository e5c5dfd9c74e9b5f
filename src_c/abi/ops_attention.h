/* Attention: softmax(q k' scale) v of every head, the scores in blocks that never leave the caches. */
#ifndef FS_OPS_ATTENTION_H
#define FS_OPS_ATTENTION_H

/* Query t of a row of the batch stands at place[b] + t among the keys, and where it is causal sees those up to its
   own place. A head of keys serves `group` heads of queries. y[t] is the sum of the values that it sees, each times
   e^(score - maximum) / sum. A query that sees nothing for its mask gets the mean of all values. */
#define FS_ATTENTION_ARGS(IN, OUT, INT, NUM)                                                                           \
    IN(float, q, "(batch, queries, heads, size), strides q_batch, q_time, q_head, 1")                                  \
    IN(float, k, "(batch, keys, heads / group, size), strides k_batch, k_time, k_head, 1")                             \
    IN(float, v, "(batch, keys, heads / group, value_size), strides v_batch, v_time, v_head, 1")                       \
    IN(uint8_t, mask, "(batch, heads, queries, keys) with strides m_batch, m_head, m_time, m_key; or null")            \
    IN(float, place, "(batch), whole numbers; or null for zeros")                                                      \
    OUT(float, y, "(batch, queries, heads, value_size)")                                                               \
    OUT(float, stats, "(batch, queries, heads, 2), the maximum and the sum; or null")                                  \
    INT(batch) INT(queries) INT(keys) INT(heads) INT(group) INT(size) INT(value_size) INT(causal) NUM(scale)           \
    INT(q_batch) INT(q_time) INT(q_head) INT(k_batch) INT(k_time) INT(k_head) INT(v_batch) INT(v_time) INT(v_head)     \
    INT(m_batch) INT(m_head) INT(m_time) INT(m_key)
#endif
