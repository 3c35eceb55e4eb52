/* store_conf.h - the settings of stores as main.cf has them */
#ifndef STORE_STORE_CONF_H
#define STORE_STORE_CONF_H

#include "store/store.h"

/* Strings are conf's, which live as long as the process. */
struct store_settings store_conf(void);

#endif
