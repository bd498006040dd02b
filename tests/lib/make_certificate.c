/* make_certificate CERTIFICATE KEY NAMES: a self-signed pair for tests, as "IP:127.0.0.1". */
#include <stdio.h>

#include "tests/unit/pki.h"

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: make_certificate CERTIFICATE KEY NAMES\n");
        return 2;
    }
    pki_make(argv[1], argv[2], argv[3]);
    return 0;
}
