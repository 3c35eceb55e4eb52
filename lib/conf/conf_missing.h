/* conf_missing.h - features of Postfix that are missing here, and what that means for mail */
#ifndef CONF_CONF_MISSING_H
#define CONF_CONF_MISSING_H

#include <stdbool.h>

#include "base/buf.h"

struct conf_param;

enum conf_missing_kind { MISSING_TABLE, MISSING_PROGRAM, MISSING_VALUE };

struct conf_missing {
    enum conf_missing_kind kind;
    const char *name; /* "mysql", "postscreen" */
    const char *effect; /* half a sentence; null: nothing is lost without it */
    const char *parameter; /* of a value */
};

/* Null: it is not missing, or Postfix does not have it either. */
const struct conf_missing *conf_missing_find(enum conf_missing_kind kind, struct str name);
/* The same for a table as it is written: "mysql:/etc/x.cf", "proxy:ldap:/etc/y.cf". */
const struct conf_missing *conf_missing_table(struct str spec);
/* The same for a value of a parameter that is there. */
const struct conf_missing *conf_missing_value(const char *parameter, struct str value);
/* Does pombal_accept_missing name it? */
bool conf_missing_accepted(const char *name);
/* As conf_fault, for what a table says and nobody understands; a warning if pombal_accept_missing
 * names unknown_action. */
void conf_unknown_action(const char *parameter, const char *table, const char *where,
                         const char *what);
/* Is the expanded value that of Postfix's default? */
bool conf_is_default(const struct conf_param *p, const char *value);
/* Is the parameter missing (CONF_MATTERS), and does its expanded value ask for something: is it
 * neither the default nor 0 nor empty? */
bool conf_missing_param(const struct conf_param *p, const char *value);

#endif
