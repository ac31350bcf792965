/*
 * settings: the names of every program's settings.
 * One airlock.conf serves all programs, so each must tell a setting of another from a slip of the pen.  The build makes the list
 * from deploy/airlock.conf.example, which is made from, and compared with, the programs' own tables.
 */
#ifndef AIRLOCK_SETTINGS_H
#define AIRLOCK_SETTINGS_H

/* For conf_open(): ended by NULL; "kafka.*" stands for all below it. */
extern const char *const settings_known[];

#endif
