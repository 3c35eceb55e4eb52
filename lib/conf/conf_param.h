/* conf_param.h - the table of parameters that params.def and known.def make */
#ifndef CONF_CONF_PARAM_H
#define CONF_CONF_PARAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum conf_type { CONF_TYPE_STR, CONF_TYPE_RAW, CONF_TYPE_INT, CONF_TYPE_TIME, CONF_TYPE_BOOL };

/* Has a parameter an effect here, and if not, what is lost? See known.def. */
enum conf_reason { CONF_EFFECTIVE, CONF_TUNES, CONF_GONE, CONF_MATTERS };

struct conf_param {
    const char *name;
    const char *def; /* the default as written */
    const char *help; /* null unless effective */
    const char *effect; /* of CONF_MATTERS: what would happen to mail, half a sentence */
    int64_t low, high; /* see params.def */
    size_t offset; /* in struct conf, if effective */
    enum conf_type type;
    enum conf_reason reason;
};

/* The most that a number or a time may be if its line names no bound: 68 years in seconds, as in
 * Postfix. A thousand times as much is still a number. */
enum { CONF_NUMBER_MAX = 2147483647 };
int64_t conf_param_high(const struct conf_param *p); /* of a number or a time */

/* First those of known.def, then those of params.def, each part sorted by name. */
extern const struct conf_param conf_params[];
extern const size_t conf_nparams;

const struct conf_param *conf_param_find(struct str name); /* null: no such parameter */

/* The families of names like relay_destination_concurrency_limit: what follows the name of a
 * service, and the default as written. */
struct conf_family {
    const char *suffix;
    const char *def;
    enum conf_type type;
    bool spawned; /* for services of the command spawn only, not for delivery agents */
};
extern const struct conf_family conf_families[];
extern const size_t conf_nfamilies;

/* The family that name ends in, with something before it; null: none. *prefix may be null. */
const struct conf_family *conf_family_find(struct str name, struct str *prefix);

#endif
