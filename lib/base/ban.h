/*
 * ban: calls that do not compile here, each with its way out.
 * Included by base.h after the system headers of a file, so list system headers before base.h.
 * lib/base/mem.c alone defines AIRLOCK_MAY_ALLOCATE.
 */
#ifndef AIRLOCK_BAN_H
#define AIRLOCK_BAN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok atoi atol atof system popen tmpnam mktemp
#ifndef AIRLOCK_MAY_ALLOCATE
#pragma GCC poison malloc calloc realloc strdup strndup
#endif

#endif
