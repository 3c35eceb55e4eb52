/* check_names.h - do the services exist that parameters name? */
#ifndef SERVICE_CHECK_NAMES_H
#define SERVICE_CHECK_NAMES_H

#include "service/conf_values.h"

struct conf_master;

/* After a load of main.cf, or of it and the -o of a service: each of cleanup_service_name and the
 * like that is set, and that no line of cf has, is given to tell, as conf_check_values does. */
void check_service_names(const struct conf_master *cf, conf_values_fn *tell, void *arg);

#endif
