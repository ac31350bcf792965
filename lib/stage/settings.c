#include "stage/settings.h"

#include <stddef.h>

const char *const settings_known[] = {
#include "stage/settings_known.inc"
	NULL,
};
