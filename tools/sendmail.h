/* sendmail.h - what the parts of sendmail share */
#ifndef TOOLS_SENDMAIL_H
#define TOOLS_SENDMAIL_H

#include "base/arena.h"
#include "base/vec.h"
#include "mail/dsn.h"

#include "maildrop.h"

enum sendmail_mode {
    SENDMAIL_MAIL,
    SENDMAIL_SMTP,
    SENDMAIL_QUEUE,
    SENDMAIL_ALIASES,
    SENDMAIL_DAEMON,
    SENDMAIL_IGNORE
};

/* What the command line asked for. */
struct sendmail {
    struct arena *mem;
    const char *name; /* as it was called */
    enum sendmail_mode mode;
    const char *config_dir;
    const char *sender; /* null: the user who runs it */
    const char *full_name; /* null: from the account */
    bool extract; /* -t */
    bool ignore_dots; /* -i */
    bool gateway; /* -G */
    unsigned notify; /* -N */
    enum dsn_ret ret; /* -R */
    const char *envid; /* -V */
    const char *verp; /* -XV: delimiters; "": those of main.cf; null: not given */
    const char *encoding; /* -B; null: not said */
    int verbose; /* -v, twice for debugging */
    bool verify; /* -bv */
    const char *alias_database; /* -oA; null: the parameter */
    const char *flush_site, *flush_id; /* -qR, -qI */
    bool flush; /* -q */
    VEC(const char *) rcpts; /* as on the command line */
};

/* Address in internal form; what RFC 3461 has to say of it. */
struct sendmail_rcpt {
    const char *address;
    unsigned notify; /* 0: not said */
    const char *orcpt; /* xtext decoded; null: not said */
};

/* Puts the envelope records into d. */
void sendmail_envelope(const struct sendmail *m, struct maildrop *d, const char *sender,
                       const struct sendmail_rcpt *rcpts, size_t n);
/* Prints "NAME: fatal: ..." and returns the exit status for wrong usage, which is Postfix's. */
int sendmail_wrong(const struct sendmail *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct str sendmail_one_line(const struct sendmail *m, struct str text); /* no control characters */
const char *sendmail_login(const struct sendmail *m); /* who runs it */

int sendmail_message(struct sendmail *m); /* one message on standard input; the exit status */
int sendmail_smtp(struct sendmail *m); /* -bs: SMTP on standard input and output */

#endif
