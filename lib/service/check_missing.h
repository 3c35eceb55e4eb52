/* check_missing.h - does a configuration ask for what is not there (yet)? */
#ifndef SERVICE_CHECK_MISSING_H
#define SERVICE_CHECK_MISSING_H

#include <stdbool.h>

struct conf_service;

/*
 * Parameters, restrictions, table types and programs that filter, limit, protect or route mail and
 * are not there: each one is logged as an error with where it stands and what would happen to mail,
 * or as a warning if pombal_accept_missing names it. False: there was an error.
 */
bool check_missing_main(void); /* main.cf, after conf_load */
bool check_missing_service(const struct conf_service *s); /* after conf_load with its -o */
bool service_has_program(const char *command); /* in daemon_directory */
/* Its program is not there, and that is harmless or accepted: master leaves the service out. */
bool service_left_out(const struct conf_service *s);

#endif
