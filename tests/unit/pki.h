/* Self-signed certificates for tests: a fresh P-256 key each, good for a day, for the names given.
 * Each is its own root. */
#ifndef TESTS_UNIT_PKI_H
#define TESTS_UNIT_PKI_H

/* Writes `certificate_file` (0644) and `key_file` (0600); `names` as in "IP:127.0.0.1,DNS:localhost".
 * Aborts when it cannot. */
void pki_make(const char *certificate_file, const char *key_file, const char *names);

#endif
