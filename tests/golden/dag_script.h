/* The language of the DAG scenarios: vertices are drawn by name, decisions come back as text.
 *
 *   committee A B*3 C D          members in index order, with stakes
 *   rule stride=1 fast=1 gc=4 window=8
 *   leaders ABCA                 a committee digest is searched for which these lead rounds 1, 2,
 * .. batch x 400000 12            bytes and transactions of a batch (1000 and 10 if not said)
 *   insert 2 A<ABC B<BCD[x,y]    certified vertices of round 2 with parents of round 1, and payload
 *   rounds 3-7 ABC               full rounds of these authors: everybody names all vertices there
 * are first 3 A<ABC A'<BCD         headers are seen; A' is another header of the same author
 *   certify 3 D<ABC              a certificate verifies, but is not inserted
 *   leader 5 8                   prints who leads these rounds now
 *   state                        prints sequence, rounds and exclusions
 *   restart                      starts again from the ordering records and the certificates
 * inserted
 *
 * The rule runs after every single change, and what it orders is printed. Round-1 vertices take no
 * parents. A name that was drawn before may be written without parents: `insert 3 A`. */
#ifndef TESTS_GOLDEN_DAG_SCRIPT_H
#define TESTS_GOLDEN_DAG_SCRIPT_H

#include <stdbool.h>
#include <stdio.h>

struct dag_script;

struct dag_script *dag_script_open(FILE *output);
void dag_script_close(struct dag_script *script);

/* Runs one line. False when it is not understood: then a line saying why was printed. */
bool dag_script_run(struct dag_script *script, const char *line);

#endif
