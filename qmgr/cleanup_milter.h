/* cleanup_milter.h - a message as milters see and change it */
#ifndef QMGR_CLEANUP_MILTER_H
#define QMGR_CLEANUP_MILTER_H

#include "milter/milter_content.h"

#include "cleanup.h"

/*
 * What the callbacks of milter/milter_content.h get. Reading is done in the queue file, which is
 * read back anew for each milter: so each sees what those before it have changed.
 */
struct cleanup_view {
    struct cleanup *c;
    struct qfile *back; /* the file as it was at rewind; null: not begun */
    struct buf field; /* the last one that was read */
    unsigned looked; /* fields read */
    bool in_body;
    struct str rest; /* of a line of the body, in back */
    bool line_ends; /* it ends with a line's end */

    /* A new body that is being written. */
    off_t new_body; /* where it begins; 0: there is none */
    struct buf line; /* its last line, not complete yet */
};

/* cleanup_milter_read.c */
int cleanup_view_rewind(void *view, struct why *why);
int cleanup_view_header(void *view, struct str *name, struct str *value, struct why *why);
int cleanup_view_body(void *view, struct buf *piece, struct why *why);
/* (waits) Which of the Received fields is our own, that milters do not see; 0: none. Ends reading.
 */
size_t cleanup_view_own(struct cleanup_view *v);

/* cleanup_milter_edit.c: sets the edits of content */
void cleanup_view_edits(struct milter_content *content);

/* cleanup_milter_macro.c: a milter_macro_fn; arg is struct cleanup */
const char *cleanup_milter_macro(void *arg, struct str name);
/* Of who sent the message; local programs count as this host. */
const char *cleanup_client_name(const struct cleanup *c);
const char *cleanup_client_addr(const struct cleanup *c);

/* cleanup_milter.c: does what the milters have said of an event, named as in the log. */
void cleanup_milter_verdict(struct cleanup *c, const char *event, const struct milter_answer *a);
void cleanup_show_message(struct cleanup *c, struct milters *milters); /* (waits) the content */
/* Nobody looks at what is thrown away, or refused already. */
bool cleanup_wants_milters(const struct cleanup *c);

/* cleanup_milter_local.c. (waits) non_smtpd_milters, from CONNECT to the end of the message. */
void cleanup_ask_local(struct cleanup *c);

#endif
