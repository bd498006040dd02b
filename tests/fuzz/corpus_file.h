/* Files of the starting corpora, FOLDER/<driver>/<name>. Shared by make_corpus*.c. A file that cannot be written ends
 * the program. */
#ifndef TESTS_FUZZ_CORPUS_FILE_H
#define TESTS_FUZZ_CORPUS_FILE_H

#include "common/bytes.h"

void corpus_set_folder(const char *folder);
void corpus_save(const char *driver, const char *name, const void *data, size_t len);
void corpus_save_text(const char *driver, const char *name, const char *text);
void corpus_save_writer(const char *driver, const char *name, const struct writer *writer);

/* make_corpus_node.c: what a node reads from peers, clients and its disk. */
void make_corpus_node(void);

/* make_corpus_hosts.c: files of operators, HTTP, and what goes between sequencer and rollup. */
void make_corpus_hosts(void);

#endif
