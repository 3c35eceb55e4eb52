/* conf_main.h - the settings of a main.cf in their order */
#ifndef CONF_CONF_MAIN_H
#define CONF_CONF_MAIN_H

#include "base/vec.h"
#include "base/why.h"

struct conf_setting {
    const char *name;
    const char *value; /* as written, continuation lines joined; not expanded */
    unsigned line; /* the last one of the setting, from 1 */
};

struct conf_main {
    VEC(struct conf_setting) settings; /* a later one of the same name wins */
    struct arena *mem;
};

/* text: the file; path: for messages. -1: why names path, line and what is wrong. A logical line
 * that begins with white space is skipped with a warning, as Postfix does. */
int conf_main_parse(struct str text, const char *path, struct conf_main *out, struct why *why);
void conf_main_free(struct conf_main *m);

#endif
