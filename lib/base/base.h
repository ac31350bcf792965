/* base: attributes every file may use.  Include it first after the own header. */
#ifndef AIRLOCK_BASE_H
#define AIRLOCK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUSTCHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#include "base/ban.h"

#endif
