/* conf_values.h - the syntax of text values in main.cf, one table */
#ifndef SERVICE_CONF_VALUES_H
#define SERVICE_CONF_VALUES_H

#include <stdbool.h>

/*
 * After conf_load: has each value the form that whoever reads it expects? Each wrong one is given
 * to tell, with the file, line and name in front. Numbers, times and yes or no are conf_load's,
 * tables and lists of networks are opened by the services (check_start.h), names of hosts are asked
 * for by interfaces.h.
 */
struct why;
typedef void conf_values_fn(void *arg, struct why *why);
void conf_check_values(conf_values_fn *tell, void *arg);

#endif
