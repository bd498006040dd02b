/* Self-signed certificates for tests: a fresh P-256 key each, good for a day, for the names given.
 * Each is its own root. */
#ifndef TESTS_UNIT_PKI_H
#define TESTS_UNIT_PKI_H

/* Writes `certificate_file` (0644) and `key_file` (0600); `names` as in "IP:127.0.0.1,DNS:localhost".
 * Aborts when it cannot. */
void pki_make(const char *certificate_file, const char *key_file, const char *names);

/* Three of them in a folder of their own: 0 and 1 for 127.0.0.1, 2 for 127.0.0.2. */
#define PKI_FILES 3
struct pki_folder {
    char path[32];
    char certificate[PKI_FILES][64];
    char key[PKI_FILES][64];
};

/* -1 when there is no temporary folder. */
int pki_folder_open(struct pki_folder *folder);
int pki_folder_close(struct pki_folder *folder);

#endif
