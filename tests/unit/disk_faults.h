/* Writes that fail: every call of this program and its libraries that writes or syncs a regular file passes
 * here (the C library's functions are defined anew, which the dynamic linker prefers). */
#ifndef TESTS_UNIT_DISK_FAULTS_H
#define TESTS_UNIT_DISK_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum disk_fault {
    DISK_FAULT_ONCE, /* one call fails with EIO, the next ones do what they are told */
    DISK_FAULT_TORN, /* one write puts half of its bytes down and fails with EIO; a sync just fails */
    DISK_FAULT_FULL, /* all calls fail from this one on, with ENOSPC */
    DISK_FAULTS
};

/* The `number`-th call from now on (the first is 1) and as `fault` says; 0: none. Any thread's. */
void disk_faults_set(uint64_t number, enum disk_fault fault);

/* A call failed since disk_faults_set. */
bool disk_faults_struck(void);

#endif
