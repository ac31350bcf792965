/* record_main: the recorder's life, as service_main() calls it. */
#ifndef AIRLOCK_RECORD_MAIN_H
#define AIRLOCK_RECORD_MAIN_H

#include "stage/service.h"

enum rc record_prepare(struct service *s, const char *argument, void **self, struct err *err);
enum rc record_start(struct service *s, void *self, struct err *err);
void record_drain(void *self);
void record_close(void *self);

#endif
