/* Comes before every source of the kernel built for the tests: the payload bytes of a run are what the test says. */
#ifndef TESTS_KERNEL_BUDGET_H
#define TESTS_KERNEL_BUDGET_H

#include <stdint.h>

#define APPLY_BYTES_MAX budget_of_test()

uint32_t budget_of_test(void);

#endif
