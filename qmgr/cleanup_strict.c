/*
 * What is wrong with the MIME of a message: told in the log where it is found, and to the client at
 * the end of the content. RFC 2045 2.7, 6.4; RFC 5322 2.2
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "service/service.h"

#include "cleanup.h"

/* The worst first. */
static const struct {
    enum cleanup_fault fault;
    const char *text;
} faults[] = {
    {FAULT_NESTING, "MIME nesting exceeds safety limit"},
    {FAULT_8BIT_HEADER, "improper use of 8-bit data in message header"},
    {FAULT_8BIT_BODY, "improper use of 8-bit data in message body"},
    {FAULT_ENCODING, "invalid message/* or multipart/* encoding domain"},
    {FAULT_END_OF_HEADER, "message header was not terminated by empty line"},
};

/* Of several faults the worst; "": none. */
static const char *text_of(unsigned found)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if ((found & faults[i].fault) != 0)
            return faults[i].text;
    return "";
}

/* For check: what has no effect because of disable_mime_input_processing. */
void cleanup_open_strict(void)
{
    const struct {
        const char *name;
        bool set;
    } all[] = {
        {"force_mime_input_conversion", conf.force_mime_input_conversion},
        {"strict_7bit_headers", conf.strict_7bit_headers},
        {"strict_8bitmime", conf.strict_8bitmime},
        {"strict_8bitmime_body", conf.strict_8bitmime_body},
        {"strict_mime_encoding_domain", conf.strict_mime_encoding_domain},
    };

    for (size_t i = 0; conf.disable_mime_input_processing && i < sizeof all / sizeof *all; i++)
        if (all[i].set && service_trying())
            msg_warn("%s = yes has no effect: disable_mime_input_processing = yes", all[i].name);
}

void cleanup_strict_begin(struct cleanup *c)
{
    if ((c->flags & SUBMIT_FILTER) == 0 || conf.disable_mime_input_processing)
        return;
    if (conf.strict_8bitmime || conf.strict_7bit_headers)
        c->strict |= FAULT_8BIT_HEADER;
    if (conf.strict_8bitmime || conf.strict_8bitmime_body)
        c->strict |= FAULT_8BIT_BODY;
    if (conf.strict_mime_encoding_domain)
        c->strict |= FAULT_ENCODING;
}

void cleanup_fault(struct cleanup *c, enum cleanup_fault fault, struct str text)
{
    struct buf line = BUF_TEXT(4096);

    if (c->stopped || (c->faults & fault) != 0)
        return;
    c->faults |= fault;
    text = str_upto(text, 100);
    buf_addf(&line, "%s: reject: mime-error %s: %.*s from ", cleanup_id(c), text_of(fault),
             (int)text.n, text.p);
    cleanup_add_client(c, &line);
    msg_info("%s; from=<%s> to=<%s>", line.p, c->d.sender,
             c->last_rcpt != NULL ? c->last_rcpt : "unknown");
    buf_free(&line);
}

static bool has_8bit(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (((unsigned char)text.p[i] & 0x80) != 0)
            return true;
    return false;
}

void cleanup_strict_text(struct cleanup *c, enum cleanup_fault fault, struct str text)
{
    if ((c->strict & ~c->faults & fault) != 0 && has_8bit(text))
        cleanup_fault(c, fault, text);
}

void cleanup_unended_header(struct cleanup *c, struct str line)
{
    if (strcmp(conf.non_empty_end_of_header_action, "add_header") == 0)
        cleanup_put_fieldf(c, "MIME-Error: %s", text_of(FAULT_END_OF_HEADER));
    else if (strcmp(conf.non_empty_end_of_header_action, "reject") == 0 &&
             (c->flags & SUBMIT_FILTER) != 0)
        cleanup_fault(c, FAULT_END_OF_HEADER, line);
}

void cleanup_refuse_faults(struct cleanup *c)
{
    if (c->faults != 0)
        cleanup_refuse(c, "5.6.0", "%s", text_of(c->faults));
}
