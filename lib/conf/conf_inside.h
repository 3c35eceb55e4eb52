/* conf_inside.h - functions shared by the files that implement conf.h, and by no others */
#ifndef CONF_CONF_INSIDE_H
#define CONF_CONF_INSIDE_H

#include "base/why.h"

struct arena;

/* Memory of the configuration. It is freed by the next conf_load. */
struct arena *conf_memory(void);
/* The text with all $names expanded, in conf_memory. Null: why. */
const char *conf_expanded(const char *text, struct why *why);
/* Sets a default that is computed. main.cf and -o override it. */
void conf_set_default(const char *name, const char *value);
/* Replaces a value, wherever it has been set. */
void conf_replace(const char *name, const char *value);

/* conf_names.c: myhostname and mydomain, mynetworks, and what myorigin names. -1: why. */
int conf_compute_names(struct why *why);
int conf_compute_networks(struct why *why);
/* Debian's "myorigin = /etc/mailname": the first line of that file is the value. */
int conf_read_origin(struct why *why);

#endif
