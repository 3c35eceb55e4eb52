/* cleanup.h - the message that is being made: what the parts of cleanup share */
#ifndef QMGR_CLEANUP_H
#define QMGR_CLEANUP_H

#include "base/hash.h"
#include "base/vec.h"
#include "ipc/trust.h"
#include "queue/delivery.h"
#include "queue/qedit.h"
#include "queue/submit.h"
#include "route/rewrite.h"

enum cleanup_phase {
    CLEANUP_ENVELOPE,
    CLEANUP_HEADER,
    CLEANUP_BODY,
    CLEANUP_EXTRACTED, /* behind REC_XTRA */
    CLEANUP_ENDED,
    CLEANUP_BROKEN, /* the client speaks no records: nothing more is read */
};

/*
 * One block of header fields: that of the message, of one of its MIME parts, or of a message
 * within. A field is collected record by record, its lines parted by LF.
 */
enum cleanup_block_kind { BLOCK_MESSAGE, BLOCK_PART, BLOCK_NESTED };
struct cleanup_block {
    enum cleanup_block_kind kind;
    struct buf field; /* the field that is being collected; empty: none */
    bool in_line; /* the last record was REC_CONT: the next one goes on with its line */
};
struct cleanup_mime;

/* What stands in front of a recipient's record and belongs to it. */
struct cleanup_dsn {
    struct buf original, orcpt;
    unsigned notify;
};

/*
 * One message, from the client's first record to the answer. The first failure sticks in why: from
 * then on records are read but not written, so that the client can send the rest and get the
 * answer. An exception is a message that is refused because of its content and is bounced
 * (SUBMIT_BOUNCE): it is written to its end, for the report.
 */
struct cleanup {
    struct arena *mem;
    size_t used_before; /* bytes of mem that are not this message's */
    unsigned flags; /* enum submit_flag */
    enum cleanup_phase phase;
    struct qfile *file;
    struct why why;
    bool stopped; /* after a failure: nothing more is written */
    bool no_room; /* nor kept: see cleanup_has_room */
    struct delivery d; /* what qmgr will be told */
    VEC(struct rcpt) rcpts;
    struct hash *seen; /* recipients, for the duplicate filter */
    struct cleanup_dsn dsn;
    struct qsize size;
    size_t attributes;
    bool has_sender;
    const char *full_name, *received_before, *received_after;
    const char *own_trace; /* the Received field made of these; null: none */
    const char *log_as, *log_text; /* the client's own log line */
    enum role client; /* as the kernel says */
    pid_t client_pid;
    struct stream *from; /* the client: what descriptors come by */
    struct milters *milters; /* whose connections came from smtpd; null: none */
    VEC(const char *) asked; /* recipients as they came, for non_smtpd_milters */
    bool asked_sender; /* they have been told of the sender */
    const char *asked_rcpt; /* the one that they have been asked about last; null: none */
    bool is_decided; /* by cleanup_checks.c: nothing else looks at it */
    bool has_end; /* REC_END has been written */
    const char *reply; /* what a milter says in the place of why: "550 5.7.1 no"; null: nothing */
    const char *last_rcpt; /* as it came, for the log; null: none */
    const char *reverse_name, *server_addr, *server_port; /* for milters; null: not told */
    VEC(const char *) prepend; /* header fields that go above all */
    enum rewrite rewrite;
    const char *found_filter, *found_redirect; /* by cleanup_checks.c; null: none */
    struct qedit edit; /* where changes can be made; without SUBMIT_EDIT nowhere */
    off_t encoding_at; /* of "encoding=7bit", to be changed when 8-bit content is met */
    bool eight_bit;

    /* cleanup_header.c */
    struct cleanup_block block; /* the message's own header */
    bool first_record; /* of the client's content: it does not continue our own fields */
    unsigned headers_seen; /* bits of cleanup_header.c */
    bool resent;
    int64_t hops;
    int64_t content; /* bytes of content so far, with a line end each */
    int64_t header_content; /* the same, of the header */
    int64_t header_size; /* bytes of its records */
    struct cleanup_mime *mime; /* cleanup_mime.c; null: nothing looks at parts of this message */
    struct cleanup_convert *convert; /* cleanup_convert.c; null: content is taken as it comes */
    unsigned strict; /* cleanup_strict.c: bits of enum cleanup_fault that are looked for */
    unsigned faults; /* those that were found */
    VEC(const char *) found_bcc; /* by cleanup_checks.c */
    size_t kept; /* bytes held for this message outside of mem */
};

/* cleanup.c */
void cleanup_fail(struct cleanup *c, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Refuses a well-formed message because of its content or its recipients. */
void cleanup_refuse(struct cleanup *c, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool cleanup_failed(const struct cleanup *c);
const char *cleanup_id(const struct cleanup *c); /* for the log: "NOQUEUE" before there is one */
/* False: c keeps more than cleanup_memory_limit, and has failed; nothing more is looked at. */
bool cleanup_has_room(struct cleanup *c);
off_t cleanup_put(struct cleanup *c, enum rec type, struct str body); /* nothing after a failure */

/* cleanup_edit.c: gaps for changes, if the client asked for them (SUBMIT_EDIT). Called at the end
 * of the recipients before the content, of the message's header, of its body. */
void cleanup_edit_rcpts(struct cleanup *c);
void cleanup_edit_header(struct cleanup *c);
void cleanup_edit_body(struct cleanup *c);
/* Writes a record: so that a pointer has room in its place, if it may be changed. */
off_t cleanup_edit_put(struct cleanup *c, enum rec type, struct str body);

/* cleanup_milter.c */
void cleanup_take_milters(struct cleanup *c, struct str state); /* a record with descriptors */
void cleanup_open_milters(void);
void cleanup_milter_paths(void); /* those that they are reached by, for the jail */
/* Do non_smtpd_milters see this message? */
bool cleanup_has_local_milters(const struct cleanup *c);
/* (waits) The milters see the message, when all of it has been written, and change or refuse it. */
void cleanup_ask_milters(struct cleanup *c);
void cleanup_milter_hold(struct cleanup *c,
                         const char *event); /* for one of them, with a log line */

/* cleanup_envelope.c */
void cleanup_envelope(struct cleanup *c, enum rec type, struct str body);
void cleanup_extracted(struct cleanup *c, enum rec type, struct str body);
/* Remembers that SMTPUTF8 will be needed, if text is a reason and the client cares. */
void cleanup_note_utf8(struct cleanup *c, enum sendopt where, struct str text);
/* Adds a recipient with the parameters in c->dsn: it is rewritten, mapped and expanded, and
 * duplicates are dropped. */
void cleanup_add_rcpt(struct cleanup *c, struct str address);
/* Changes of the envelope behind the content, for milters (SUBMIT_EDIT): addresses in internal
 * form. 0, or -1 and why. */
struct cleanup_late {
    enum dsn_ret ret; /* of a sender */
    const char *envid; /* null: none */
    unsigned notify; /* of a recipient */
    const char *orcpt; /* null: none */
};
int cleanup_late_sender(struct cleanup *c, const char *address, const struct cleanup_late *late,
                        struct why *why);
int cleanup_late_rcpt(struct cleanup *c, const char *address, const struct cleanup_late *late,
                      struct why *why);
/* What header_checks have found since: a filter, a redirection, copies. */
int cleanup_late_actions(struct cleanup *c, struct why *why);
/* All recipients that this address, as the client gave it, has become. */
int cleanup_drop_rcpt(struct cleanup *c, const char *address, struct why *why);

/* cleanup_map.c */
void cleanup_open_maps(void);
enum cleanup_class {
    MAP_ENVELOPE_SENDER = 1,
    MAP_ENVELOPE_RCPT = 2,
    MAP_HEADER_SENDER = 4,
    MAP_HEADER_RCPT = 8,
};
/* (waits) now and then. Canonical maps and masquerading, as the class says, in place (internal
 * form). -1: a table could not be asked; c has failed. */
int cleanup_map_address(struct cleanup *c, enum cleanup_class class, struct buf *address);
/* Appends the internal form of the address in a text like "<user@domain>". False: it did not fit.
 */
bool cleanup_one_address(struct cleanup *c, struct str text, struct buf *address);
/* (waits) now and then. Virtual aliases: the addresses that this one stands for, at least one, in
 * c->mem. */
struct cleanup_addresses {
    const char **at;
    size_t n;
};
int cleanup_expand(struct cleanup *c, const char *address, struct cleanup_addresses *out);
/* (waits) now and then. The address that gets a copy of mail from or to this address
 * (sender_bcc_maps, recipient_bcc_maps); "": none. -1: a table could not be asked; c has failed. */
enum cleanup_bcc { BCC_SENDER, BCC_RCPT };
int cleanup_find_bcc(struct cleanup *c, enum cleanup_bcc which, const char *address,
                     struct buf *bcc);

/* cleanup_header.c */
void cleanup_begin_headers(struct cleanup *c); /* the trace field of the client's */
void cleanup_header_record(struct cleanup *c, enum rec type, struct str body);
void cleanup_end_headers(struct cleanup *c); /* also when no body follows */
/* Takes one record of a header block. False: the record is not part of a field; the block has
 * ended, and its last field has been processed. */
bool cleanup_block_take(struct cleanup *c, struct cleanup_block *b, enum rec type, struct str text);
void cleanup_block_end(struct cleanup *c, struct cleanup_block *b); /* processes the last field */
void cleanup_cut_field(struct buf *field); /* to header_size_limit */
/* A field as it is, its lines parted by LF. */
void cleanup_put_field(struct cleanup *c, struct str text);
void cleanup_put_fieldf(struct cleanup *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void cleanup_log_id(struct cleanup *c, bool resent, struct str id);

/* cleanup_complete.c */
enum cleanup_seen {
    SEEN_MESSAGE_ID = 1,
    SEEN_DATE = 2,
    SEEN_FROM = 4,
    SEEN_VISIBLE_RCPT = 8,
    SEEN_RESENT_MESSAGE_ID = 16,
    SEEN_RESENT_DATE = 32,
    SEEN_RESENT_FROM = 64,
    SEEN_REQUIRETLS = 128,
};
/* Adds the fields that a message must have and this one has not (c->headers_seen). */
void cleanup_complete_header(struct cleanup *c);

/* cleanup_mime.c: which body lines are header fields of parts. Only for messages that
 * header_checks, body_checks or the strict_* parameters look at; all others have no struct
 * cleanup_mime. */
void cleanup_mime_begin(struct cleanup *c);
/* Content-Type of the present block: the field's value, and the whole field. */
void cleanup_mime_type(struct cleanup *c, struct str value, struct str field);
void cleanup_mime_encoding(struct cleanup *c, struct str value); /* Content-Transfer-Encoding */
void cleanup_mime_end_header(struct cleanup *c, bool blank_line); /* of the message */
void cleanup_mime_record(struct cleanup *c, enum rec type, struct str text); /* of the body */
void cleanup_mime_line(struct cleanup *c, enum rec type, struct str text); /* in no header */
void cleanup_mime_end(struct cleanup *c); /* the content has ended */
void cleanup_mime_free(struct cleanup *c);

/* cleanup_convert.c: force_mime_input_conversion. All content of the client goes through it first,
 * if c->convert is set. */
void cleanup_convert_begin(struct cleanup *c);
void cleanup_convert_record(struct cleanup *c, enum rec type, struct str text);
void cleanup_convert_end(struct cleanup *c); /* the content has ended: passes on the rest */
void cleanup_convert_free(struct cleanup *c);

/* cleanup_strict.c: what is wrong with the MIME of a message. */
enum cleanup_fault { /* bits; of several the first is told to the client */
                     FAULT_NESTING = 1,
                     FAULT_8BIT_HEADER = 2,
                     FAULT_8BIT_BODY = 4,
                     FAULT_ENCODING = 8,
                     FAULT_END_OF_HEADER = 16,
};
void cleanup_open_strict(void);
void cleanup_strict_begin(struct cleanup *c); /* sets c->strict */
/* Logs the fault, with the text in which it was found, and remembers it. Each kind counts once. */
void cleanup_fault(struct cleanup *c, enum cleanup_fault fault, struct str text);
/* 8-bit text is a fault of this kind, if c is strict about it. */
void cleanup_strict_text(struct cleanup *c, enum cleanup_fault fault, struct str text);
/* The message's header was ended by this line of text: does non_empty_end_of_header_action. */
void cleanup_unended_header(struct cleanup *c, struct str line);
void cleanup_refuse_faults(struct cleanup *c); /* at the end of the content */

/* cleanup_body.c */
void cleanup_open_body(void);
/* Takes as many whole content records from the start of bytes as there are; the bytes used.
 * (waits) where body_checks take long. */
size_t cleanup_body_records(struct cleanup *c, struct str bytes);
void cleanup_body_record(struct cleanup *c, enum rec type, struct str text); /* the first one */
void cleanup_next_record(struct cleanup *c, enum rec type, struct str text); /* a later one */
/* A record of the body that is no header field of a part; offset: its place in the part's body. */
void cleanup_put_body(struct cleanup *c, enum rec type, struct str text, int64_t offset);
/* Appends the record as message_strip_characters and cleanup_replace_stray_cr_lf want it. False:
 * the message is refused (message_reject_characters). */
bool cleanup_clean_text(struct cleanup *c, struct str text, struct buf *out);
/* A record of content as it is, but for characters that may not be in it. */
void cleanup_put_text(struct cleanup *c, enum rec type, struct str text);
/* Content that is written otherwise counts, too: c fails when the message is too big. */
void cleanup_count(struct cleanup *c, struct str text);
/* One line, or a piece of one, of the header: checked and changed as body lines are. */
void cleanup_put_line(struct cleanup *c, struct str line);

/* cleanup_checks.c */
void cleanup_open_checks(void);
enum cleanup_content { CHECK_HEADER, CHECK_MIME, CHECK_NESTED, CHECK_MILTER, CHECK_BODY };
/* Is there a table of this kind, and is this message subject to checks (SUBMIT_FILTER)? */
bool cleanup_checks(const struct cleanup *c, enum cleanup_content what);
/* Appends " from=<> to=<> proto= helo=", as log lines about a message have it. */
void cleanup_add_context(const struct cleanup *c, struct buf *line);
/* Appends "name[address]", or "local". */
void cleanup_add_client(const struct cleanup *c, struct buf *line);
/* "ID: reject: header Subject: x from host[address]; from=<> ...: text": what is done ("reject:
 * header") about this content, of which 200 bytes are shown. Text may be empty. */
void cleanup_log_content(const struct cleanup *c, const char *what, struct str content,
                         struct str text);
enum cleanup_verdict { CLEANUP_KEEP, CLEANUP_DROP, CLEANUP_REPLACE };
/* The table's action for a field or line; for CLEANUP_REPLACE, instead is the new text. (waits) now
 * and then, so that slow tables do not hold up other messages. */
enum cleanup_verdict cleanup_check(struct cleanup *c, enum cleanup_content what, struct str text,
                                   struct buf *instead);

/* cleanup_flow.c: delays clients (in_flow_delay) when mail comes in faster than it goes out. */
void cleanup_flow_wait(const struct cleanup *c); /* (waits) before a client is answered */

/* cleanup_finish.c */
int cleanup_finish(struct cleanup *c); /* (waits) commit, tell qmgr; -1: c->why */

#endif
