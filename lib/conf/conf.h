/* conf.h - main.cf as the programs see it: one struct made from params.def */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

struct conf_main;

/*
 * The types of params.def and their C types here:
 *   STR   const char *  $name expanded
 *   RAW   const char *  as written: its user expands it later, with more names
 *   INT   int64_t       low..high (high 0: no bound)
 *   TIME  int64_t       seconds, written with s m h d w; without one in the unit of the default
 *   BOOL  bool          yes or no
 * So conf.smtpd_timeout is the value of smtpd_timeout, after main.cf, master.cf -o and the command
 * line; conf._2bounce_notice_recipient that of 2bounce_notice_recipient. It does not change
 * while a process lives, except by conf_set_stress: a reload starts new processes.
 */
#define CONF_STR  const char *
#define CONF_RAW  const char *
#define CONF_INT  int64_t
#define CONF_TIME int64_t
#define CONF_BOOL bool
/* Where main.cf is when neither -c nor MAIL_CONFIG says so. */
#define CONF_DEFAULT_DIR "/etc/postfix"

struct conf {
#define P(type, name, def, low, high, help) CONF_##type name;
#include "conf/params.def"
#undef P
};
extern struct conf conf;

/*
 * Reads DIR/main.cf (dir null: MAIL_CONFIG or the default; made absolute). overrides: "name=value"
 * strings in order, from -o, up to a null; may be null. service: the name in master.cf, for
 * $service_name; may be null. -1: why names file, line, parameter and what would be right. A second
 * call replaces all.
 */
int conf_load(const char *dir, const char *service, const char *const *overrides, struct why *why);
/* As conf_load, but goes on at a wrong value, to tell of all of them. */
typedef void conf_tell_fn(void *arg, struct why *why);
int conf_load_telling(const char *dir, const char *service, const char *const *overrides,
                      conf_tell_fn *tell, void *arg);
/*
 * Reports that the value of a parameter can never work, for example a network with a wrong mask.
 * Called at start by the code that opens tables and lists. Logs an error with the place where the
 * parameter is set, and counts it: check, start and reload refuse a configuration with such faults.
 * name null: the text says which parameter it is.
 */
void conf_fault(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t conf_faults(void); /* how many conf_fault has counted */
/* Puts the place where a parameter is set in front of why: "main.cf, line 3: name = value: ".
 * Always returns -1. */
int conf_blame(const char *name, struct why *why);
unsigned conf_line(const char *name); /* line of main.cf that sets it; 0: it is not set there */
/* Sets the parameter "stress" to "yes" or "", unless main.cf or master.cf set it, and evaluates the
 * parameters that refer to it again. Tables and lists that are already open do not change. */
void conf_set_stress(bool on);
const char *conf_dir(void); /* the configuration directory in use */
/* For postconf: as conf_load, but values are not checked and conf is not filled. defaults_only:
 * main.cf is not read. Afterwards conf_find_raw, conf_expand and conf_is_set can be used. */
int conf_read(const char *dir, bool defaults_only, const char *const *overrides, struct why *why);
/* The settings of main.cf, in their order there. Owned by conf. */
const struct conf_main *conf_settings(void);
void conf_unload(void); /* frees all; for tests */

/* lmtp is the smtp program under another name. After this call every conf.smtp_x has the value of
 * lmtp_x, if there is such a parameter (smtp_helo_name: lmtp_lhlo_name). Call it after conf_load.
 */
void conf_use_lmtp(void);

/* Logs a warning for each parameter of main.cf that has no effect yet, if mail takes the same way
 * without it (TUNES in known.def). Parameters that matter are refused by service/check_missing.h.
 */
void conf_warn_ignored(void);
void conf_warn_duplicates(void); /* warns only of parameters that are set twice */

/* Removes all environment variables that import_environment does not name, and sets those that it
 * gives as name=value. Call it after conf_load. */
void conf_clean_environment(void);

/* The expanded value of a parameter by its name, or its default; null if there is neither. For
 * parameters of the user's own, restriction classes, and names that are computed. If a value cannot
 * be expanded, the process ends. The text lives as long as the process. */
const char *conf_find(const char *name);
bool conf_is_set(const char *name); /* in main.cf or with -o */
/* Expands $name in text from other sources (arguments of tables, master.cf), appended to out. */
int conf_expand(const char *text, struct buf *out, struct why *why);
/* As conf_find, but not expanded. A conf_find_fn for conf_expand_text. */
const char *conf_find_raw(struct str name, void *unused);

/* Has a setting whose name is not in the table, such as relay_destination_concurrency_limit, a
 * value of the kind that its last part wants? 0 also for all other names. */
int conf_family_check(const char *name, struct why *why);
/* The value of the parameter <prefix><suffix>, if it is set or has a default of its own, else
 * otherwise. For the parameters of single transports:
 *   conf_int_of("relay", "_destination_concurrency_limit",
 *               conf.default_destination_concurrency_limit)
 * If the value is malformed, the process ends. A time without a unit is in seconds. */
int64_t conf_int_of(const char *prefix, const char *suffix, int64_t otherwise);
int64_t conf_time_of(const char *prefix, const char *suffix, int64_t otherwise);
const char *conf_str_of(const char *prefix, const char *suffix, const char *otherwise);

#endif
