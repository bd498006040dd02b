/* Rigs of this program run the compiled kernel. */
#include "tests/kernel/native.h"

engine_entry *const rig_entry = NULL;
