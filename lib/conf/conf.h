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
 * line; conf._2bounce_notice_recipient that of 2bounce_notice_recipient. It never changes while a
 * process lives, but by conf_set_stress: a reload starts new processes.
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
/*
 * For whoever opens what a parameter names, at start: the value asks for something that can never
 * work, for example a network with a wrong mask. Logged as an error, with where it was set; counted
 * for check, start and reload, which refuse such a configuration.
 */
void conf_fault(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t conf_faults(void);
/* Puts in front of what is wrong with a value where it was set: "main.cf, line 3: name = value: ".
 * Always -1. */
int conf_blame(const char *name, struct why *why);
unsigned conf_line(const char *name); /* where main.cf sets it; 0: nowhere, or with -o */
/* Sets the parameter "stress", if main.cf and master.cf leave it alone, and with it all that refers
 * to it, in conf. Texts that were made of parameters before (tables, lists) stay as they are. */
void conf_set_stress(bool on);
const char *conf_dir(void); /* the configuration directory in use */
/* For postconf: the same without conf being filled and values being checked. defaults_only: main.cf
 * is not read. Then conf_find_raw, conf_expand and conf_is_set work. */
int conf_read(const char *dir, bool defaults_only, const char *const *overrides, struct why *why);
/* What main.cf sets, in its order. */
const struct conf_main *conf_settings(void);
void conf_unload(void); /* frees all; for tests */

/* The lmtp program is the smtp program: from here on every conf.smtp_x holds the value of lmtp_x,
 * where there is one (smtp_helo_name: that of lmtp_lhlo_name, and so on). After conf_load. */
void conf_use_lmtp(void);

/* Logs each parameter of main.cf whose feature is not there yet although mail goes the same way
 * without it (known.def: TUNES). Those that matter are refused: service/check_missing.h. */
void conf_warn_ignored(void);
void conf_warn_duplicates(void); /* the first part of that alone */

/* Removes from the environment what import_environment does not name, and sets what it gives as
 * name=value. After conf_load. */
void conf_clean_environment(void);

/* By name, for user-defined parameters, restriction classes and computed names: the value expanded,
 * or the default; null if there is neither. A value that cannot be expanded ends the process. The
 * text lives as long as the process. */
const char *conf_find(const char *name);
bool conf_is_set(const char *name); /* in main.cf or with -o */
/* Expands $name in text from other sources (arguments of tables, master.cf), appended to out. */
int conf_expand(const char *text, struct buf *out, struct why *why);
/* As conf_find, not expanded. Fits conf_expand_text. */
const char *conf_find_raw(struct str name, void *unused);

/* <prefix><suffix> if set in main.cf or a parameter with a default of its own, else the default
 * given: the per-transport parameters, for example
 * conf_int_of("relay", "_destination_concurrency_limit",
 * conf.default_destination_concurrency_limit) A malformed value ends the process. A time without
 * unit is in seconds. */
int64_t conf_int_of(const char *prefix, const char *suffix, int64_t otherwise);
int64_t conf_time_of(const char *prefix, const char *suffix, int64_t otherwise);
const char *conf_str_of(const char *prefix, const char *suffix, const char *otherwise);

#endif
