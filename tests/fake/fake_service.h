/* fake_service: lib/stage/service.h without main(): a loop, settings, metrics and what was said about readiness. */
#ifndef AIRLOCK_FAKE_SERVICE_H
#define AIRLOCK_FAKE_SERVICE_H

#include "stage/service.h"

/* settings: text of a settings file.  kafka is copied.  program: what service_program() answers. */
struct service *fake_service_open(struct loop *l, const struct service_program *program, const struct kafka_conf *kafka,
                                  const struct conf_row *rows, const char *settings);
void fake_service_close(struct service *s);
bool fake_service_drained(const struct service *s);
const char *fake_service_broken(const struct service *s);                 /* code, "" if not */
bool fake_service_is_ready(const struct service *s, const char *what);    /* false if never told */
const char *fake_service_reason(const struct service *s, const char *what);

#endif
