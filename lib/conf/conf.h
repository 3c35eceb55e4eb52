/* conf.h - main.cf as the programs see it: one struct made from params.def */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"

/*
 * params.def: P(type, name, default, low, high, help). Types and their C type here:
 *   STR   const char *  $name expanded          RAW   const char *  not expanded (expanded later by its user)
 *   INT   int64_t       low..high (high 0: no bound)
 *   TIME  int64_t       seconds, suffix s m h d w; the help text's last letter in () is the default unit
 *   BOOL  bool          yes/no
 * So conf.smtpd_timeout is the value of smtpd_timeout, after main.cf, master.cf -o and the command line.
 * It never changes while a process lives: a reload starts new processes.
 */
#define CONF_STR  const char *
#define CONF_RAW  const char *
#define CONF_INT  int64_t
#define CONF_TIME int64_t
#define CONF_BOOL bool
struct conf {
#define P(type, name, def, low, high, help) CONF_##type name;
#include "conf/params.def"
#undef P
};
extern struct conf conf;

/*
 * Reads DIR/main.cf (dir null: MAIL_CONFIG or the default). overrides: "name=value" strings in order, from -o.
 * service: the name in master.cf, for $service_name and <service>_x parameters. -1: why names file, line,
 * parameter and what would be right. Warnings (unknown names in use, parameters without effect) go to the log.
 */
int conf_load(const char *dir, const char *service, const char *const *overrides, struct why *why);
const char *conf_dir(void); /* the configuration directory in use */

/* By name, for user-defined parameters, restriction classes and computed names: expanded; null if not set
 * anywhere. The text lives as long as the process. */
const char *conf_find(const char *name);
/* Expands $name in text from other sources (tables' arguments, master.cf). */
int conf_expand(const char *text, struct buf *out, struct why *why);

/* <prefix><suffix> if set in main.cf, else the default given: the per-transport parameters, for example
 * conf_int_of("relay", "_destination_concurrency_limit", conf.default_destination_concurrency_limit). */
int64_t conf_int_of(const char *prefix, const char *suffix, int64_t otherwise);
int64_t conf_time_of(const char *prefix, const char *suffix, int64_t otherwise);
const char *conf_str_of(const char *prefix, const char *suffix, const char *otherwise);

#endif
