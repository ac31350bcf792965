/* check: what every cmocka file needs, in the order cmocka wants it. */
#ifndef AIRLOCK_TESTS_CHECK_H
#define AIRLOCK_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RUN(tests) cmocka_run_group_tests((tests), NULL, NULL)

#endif
