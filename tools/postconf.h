/* postconf.h - what the parts of postconf share: the options, and the names that may be set */
#ifndef TOOLS_POSTCONF_H
#define TOOLS_POSTCONF_H

#include "base/hash.h"
#include "base/vec.h"
#include "conf/conf_main.h"
#include "conf/conf_master.h"
#include "conf/conf_param.h"

enum edit { EDIT_NONE, EDIT_SET, EDIT_COMMENT, EDIT_REMOVE };

enum postconf_class { CLASS_BUILTIN = 1, CLASS_SERVICE = 2, CLASS_USER = 4, CLASS_ALL = 7 };

struct postconf {
    const char *dir;
    bool defaults; /* -d */
    bool only_set; /* -n */
    bool expand; /* -x */
    bool fold; /* -f */
    bool hide_name; /* -h */
    bool hide_value; /* -H */
    unsigned classes; /* -C */
    enum edit edit;
    VEC(const char *) overrides; /* -o, with a null at the end */
    struct conf_master master;
    struct hash *valid; /* the names that may be set; the value is one of the classes */
};

/* Prints a message on standard error and exits with status 1. */
void postconf_fits(const struct buf *b); /* fatal if it does not */
void postconf_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void postconf_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* postconf_names.c: which names are in use. Fills valid from the table, master.cf and main.cf. */
void postconf_find_names(struct postconf *p);
void postconf_warn_unused(const struct postconf *p, bool main_too);
void postconf_add_name(struct postconf *p, struct str name, enum postconf_class c);
/* Each $name in text, in every branch of its conditions. */
typedef void postconf_name_fn(struct str name, void *arg);
void postconf_scan(struct str text, postconf_name_fn *each, void *arg);

/* postconf_tables.c: adds the settings of the tables that a value names; warns of wrong ones in the
 * files of such tables. */
void postconf_find_tables(struct postconf *p, struct str value);

/* postconf_print.c: values of main.cf. */
void postconf_list(const struct postconf *p, char **names, int n);
void postconf_print(const struct postconf *p, const char *name, const char *value);
/* The value as shown: white space made single blanks, $names expanded if -x. */
void postconf_value(const struct postconf *p, const char *raw, struct buf *out);

/* postconf_master.c: master.cf: -M, -F, -P. */
enum master_view { VIEW_SERVICES = 'M', VIEW_FIELDS = 'F', VIEW_PARAMETERS = 'P' };
void postconf_master_list(const struct postconf *p, enum master_view view, char **names, int n);
void postconf_format_service(const struct postconf *p, const struct conf_service *s, bool fold,
                             struct buf *out);

/* postconf_edit.c and postconf_medit.c: main.cf and master.cf, in place. */
void postconf_edit_main(const struct postconf *p, char **args, int n);
void postconf_edit_master(struct postconf *p, enum master_view view, char **args, int n);
/* Waits for the lock that keeps two edits from losing one of them; held until the process ends. */
void postconf_lock(void);
void postconf_replace_file(const char *path, const struct buf *text);

#endif
