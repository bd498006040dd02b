/* Broken, absurd and replayed messages of a Byzantine member. None of them may change what honest
 * members agree on, stop one, or make one cut an honest peer. */
#ifndef TESTS_SIM_JUNK_H
#define TESTS_SIM_JUNK_H

#include "common/base.h"

struct world;

/* Sends one such message to a random member. */
void junk_send(struct world *world, authority_t member);

/* Somebody asked the member for certificates: the answer is forged. */
void junk_answer(struct world *world, authority_t member, authority_t asker);

#endif
