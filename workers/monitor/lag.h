/* lag: the distance between what is written and what each group has committed, by step and lane. */
#ifndef AIRLOCK_LAG_H
#define AIRLOCK_LAG_H

#include "stage/service.h"

enum rc lag_prepare(struct service *s, const char *argument, void **self, struct err *err);
enum rc lag_start(struct service *s, void *self, struct err *err);
void lag_drain(void *self);
void lag_close(void *self);
/* main.c */
void monitor_log(const char *msg, const char *code, const char *text);

#endif
