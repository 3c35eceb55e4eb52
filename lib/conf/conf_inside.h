/* conf_inside.h - between the files that make up conf.h */
#ifndef CONF_CONF_INSIDE_H
#define CONF_CONF_INSIDE_H

#include "base/why.h"

struct arena;

/* The memory of the configuration: what is in it lives until the next conf_load. */
struct arena *conf_memory(void);
/* The text with all $names expanded, in conf_memory. Null: why. */
const char *conf_expanded(const char *text, struct why *why);
/* A default that is computed: main.cf and -o go before it. */
void conf_set_default(const char *name, const char *value);
/* Another value, wherever the old one was set. */
void conf_replace(const char *name, const char *value);

/* conf_names.c: myhostname and mydomain, mynetworks, and what myorigin names. -1: why. */
int conf_compute_names(struct why *why);
int conf_compute_networks(struct why *why);
/* Debian's "myorigin = /etc/mailname": the first line of that file is the value. */
int conf_read_origin(struct why *why);

#endif
