/* milter_wire.h - packets of the milter protocol: written, and what a filter says read */
#ifndef MILTER_MILTER_WIRE_H
#define MILTER_MILTER_WIRE_H

#include <stdint.h>

#include "base/why.h"

/*
 * A packet is a length of four bytes, most significant first, that counts what follows: one letter
 * and data. In data, numbers have four bytes likewise, and strings end in a zero byte.
 */

/* What we say. */
enum milter_command {
    MILTER_ABORT = 'A',
    MILTER_BODY = 'B',
    MILTER_CONNECT = 'C',
    MILTER_MACROS = 'D',
    MILTER_END = 'E',
    MILTER_HELO = 'H',
    MILTER_HEADER = 'L',
    MILTER_MAIL = 'M',
    MILTER_END_OF_HEADER = 'N',
    MILTER_NEGOTIATE = 'O',
    MILTER_QUIT = 'Q',
    MILTER_RCPT = 'R',
    MILTER_DATA = 'T',
    MILTER_UNKNOWN = 'U',
};

/* What a filter says. */
enum milter_word {
    MILTER_ADD_RCPT = '+',
    MILTER_DROP_RCPT = '-',
    MILTER_ADD_RCPT_ARGS = '2',
    MILTER_SHUTDOWN = '4',
    MILTER_ACCEPT = 'a',
    MILTER_REPLACE_BODY = 'b',
    MILTER_CONTINUE = 'c',
    MILTER_DISCARD = 'd',
    MILTER_CHANGE_SENDER = 'e',
    MILTER_CONN_FAIL = 'f',
    MILTER_ADD_HEADER = 'h',
    MILTER_INSERT_HEADER = 'i',
    MILTER_CHANGE_HEADER = 'm',
    MILTER_PROGRESS = 'p',
    MILTER_QUARANTINE = 'q',
    MILTER_REJECT = 'r',
    MILTER_SKIP = 's',
    MILTER_TEMPFAIL = 't',
    MILTER_REPLY = 'y',
};

/* Negotiation: what a filter may ask for. Documented names are SMFIF_ADDHDRS and so on. */
enum milter_action {
    MILTER_MAY_ADD_HEADERS = 0x1,
    MILTER_MAY_CHANGE_BODY = 0x2,
    MILTER_MAY_ADD_RCPTS = 0x4,
    MILTER_MAY_DROP_RCPTS = 0x8,
    MILTER_MAY_CHANGE_HEADERS = 0x10,
    MILTER_MAY_QUARANTINE = 0x20,
    MILTER_MAY_CHANGE_SENDER = 0x40,
    MILTER_MAY_ADD_RCPT_ARGS = 0x80,
    MILTER_MAY_LIST_MACROS = 0x100,
    MILTER_MAY_ALL = 0x1ff,
};

/* Negotiation: what a filter does not want to see (SMFIP_NOCONNECT ...), will not answer
 * (SMFIP_NR_CONN ...), and other habits. */
enum milter_habit {
    MILTER_NO_CONNECT = 0x1,
    MILTER_NO_HELO = 0x2,
    MILTER_NO_MAIL = 0x4,
    MILTER_NO_RCPT = 0x8,
    MILTER_NO_BODY = 0x10,
    MILTER_NO_HEADERS = 0x20,
    MILTER_NO_END_OF_HEADER = 0x40,
    MILTER_NO_UNKNOWN = 0x100,
    MILTER_NO_DATA = 0x200,
    MILTER_SILENT_HEADER = 0x80,
    MILTER_SILENT_CONNECT = 0x1000,
    MILTER_SILENT_HELO = 0x2000,
    MILTER_SILENT_MAIL = 0x4000,
    MILTER_SILENT_RCPT = 0x8000,
    MILTER_SILENT_DATA = 0x10000,
    MILTER_SILENT_UNKNOWN = 0x20000,
    MILTER_SILENT_END_OF_HEADER = 0x40000,
    MILTER_SILENT_BODY = 0x80000,
    MILTER_MAY_SKIP = 0x400, /* may say that it has seen enough of the body */
    MILTER_REFUSED_RCPTS = 0x800, /* wants to hear of recipients that were refused */
    MILTER_LEADING_SPACE = 0x100000, /* values of fields with the blank behind the colon */
};
uint32_t milter_habits_of(uint32_t version); /* those that we offer to a filter of this version */

/* Stages for which a filter can say which macros it wants; the numbers are the protocol's. */
enum milter_stage {
    MILTER_AT_CONNECT,
    MILTER_AT_HELO,
    MILTER_AT_MAIL,
    MILTER_AT_RCPT,
    MILTER_AT_DATA,
    MILTER_AT_END,
    MILTER_AT_END_OF_HEADER,
    MILTER_AT_UNKNOWN, /* no filter can say anything of this one */
    MILTER_STAGES,
};

/* Writing: milter_packet_begin, data by buf_add, then milter_packet_end with what begin returned.
 * buf_ok is to be asked by whoever sends. */
size_t milter_packet_begin(struct buf *out, enum milter_command command);
void milter_packet_end(struct buf *out, size_t begin);
void milter_put_number(struct buf *out, uint32_t n);
void milter_put_text(struct buf *out, struct str text); /* and a zero byte for its end */

uint32_t milter_length(const char bytes[4]); /* of the packet that begins with them */

/* What a filter has said; slices are parts of the packet. */
struct milter_said {
    enum milter_word word;
    uint32_t index; /* of a header field */
    /* ADD_HEADER, INSERT_HEADER, CHANGE_HEADER: name and value. ADD_RCPT, DROP_RCPT: address.
     * ADD_RCPT_ARGS, CHANGE_SENDER: address and ESMTP parameters, which may be missing.
     * QUARANTINE: the reason. REPLY: the text. REPLACE_BODY: the piece. */
    struct str text, more;
};
/* The packet without its length. -1: it is not one of the protocol's; why says what is wrong. */
int milter_said_parse(struct str packet, struct milter_said *said, struct why *why);

/* Is a text of MILTER_REPLY one of SMTP: "550 5.7.1 text", or lines of this form parted by CR LF
 * with one code? Appended to reply, lines parted by LF, printable. -1: it is not; reply is empty.
 */
int milter_reply_parse(struct str text, struct buf *reply, struct why *why);

/* The answer to the negotiation. lists: the macros that the filter wants at a stage; a null slice:
 * it has not said, or named none. -1: it cannot be worked with. */
struct milter_terms {
    uint32_t version, actions, habits;
    struct str lists[MILTER_STAGES];
};
int milter_terms_parse(struct str packet, const struct milter_terms *offered,
                       struct milter_terms *terms, struct why *why);

#endif
