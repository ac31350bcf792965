/* store_sql: the statements of a flush that met a duplicate.  Its rows went into temporary tables; what is new goes on into the real ones. */
#ifndef AIRLOCK_STORE_SQL_H
#define AIRLOCK_STORE_SQL_H

#include "base/base.h"

extern const char *const store_stage[];   /* before the COPY; ended by NULL */
extern const char *const store_merge[];   /* after it */

#endif
