/* Broken, absurd and replayed messages of a Byzantine member. None of them may change what honest
 * members agree on, stop one, or make one cut an honest peer. */
#ifndef TESTS_SIM_JUNK_H
#define TESTS_SIM_JUNK_H

#include "common/base.h"
#include "common/types.h"

struct world;
struct sim_event;

/* Sends one such message to a random member. */
void junk_send(struct world *world, authority_t member);

/* Somebody asked the member for certificates: the answer is forged. */
void junk_answer(struct world *world, authority_t member, authority_t asker);

/* Somebody asked the member for a checkpoint, or for ordering records (junk_checkpoint.c). */
void junk_checkpoint(struct world *world, authority_t member, authority_t asker);
void junk_record(struct world *world, authority_t member, const struct sim_event *event);

/* A signature that belongs to no checkpoint. */
void junk_checkpoint_signature(struct world *world, authority_t member, authority_t target);

#endif
