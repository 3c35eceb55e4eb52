/* check_start.h - lets the program of each service try its start */
#ifndef SERVICE_CHECK_START_H
#define SERVICE_CHECK_START_H

#include <stdbool.h>

struct conf_master;

/*
 * Runs each service's program with -T: it loads its settings and opens its tables, certificates and
 * lists as always, and ends before the jail and without listening. Whatever makes it fail is logged
 * as an error with the service's line in master.cf. False: some service would not start. After
 * conf_load; takes at most service_check_timeout.
 */
bool check_starts(const struct conf_master *cf);

#endif
