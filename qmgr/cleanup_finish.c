/*
 * The end: sizes, stable storage, and the word to qmgr. Or the bounce of what cannot be taken.
 */
#include "base/msg.h"
#include "base/str.h"
#include "mail/path.h"
#include "queue/bounce_log.h"

#include "cleanup.h"

/* As reports show it. */
static const char *external(struct cleanup *c, const char *address)
{
    struct buf quoted = BUF(REC_MAX);

    path_quote(strz(address), &quoted);
    const char *copy = arena_strz(c->mem, buf_str(&quoted));
    buf_free(&quoted);
    return copy;
}

/* A message of a local program that nobody waits for: who sent it gets a report. */
static int bounce_all(struct cleanup *c)
{
    struct why why = WHY;
    int result = 0;

    c->d.rcpts = c->rcpts.at;
    c->d.nrcpts = c->rcpts.n;
    for (size_t i = 0; i < c->rcpts.n && result == 0; i++) {
        struct bounce_record r = {.recipient = external(c, c->rcpts.at[i].address),
                                  .original = external(c, c->rcpts.at[i].original),
                                  .dsn_orcpt = c->rcpts.at[i].dsn_orcpt,
                                  .dsn_notify = c->rcpts.at[i].dsn_notify,
                                  .status = c->why.code,
                                  .action = "failed",
                                  .diag_type = "",
                                  .diag_text = "",
                                  .mta_type = "",
                                  .mta_name = "",
                                  .reason = why_text(&c->why)};
        result = bounce_one(&c->d, &r, &why);
    }
    if (result < 0)
        msg_warn("%s: no report of %s: %s", c->d.queue_id, why_text(&c->why), why_text(&why));
    why_free(&why);
    return result;
}

static int refuse(struct cleanup *c)
{
    bool never = c->why.code[0] == '5';

    if (c->file != NULL)
        qfile_abort(&c->file);
    if (never && (c->flags & SUBMIT_BOUNCE) != 0 && c->has_sender && c->rcpts.n > 0)
        return bounce_all(c);
    return -1;
}

static void fill_in(struct cleanup *c)
{
    if (c->eight_bit)
        qfile_patch(c->file, c->encoding_at, REC_ATTR, STR("encoding=8bit"));
    c->d.encoding = c->eight_bit ? "8bit" : "7bit";
    qfile_patch_size(c->file, &c->size);
}

int cleanup_finish(struct cleanup *c)
{
    if (cleanup_failed(c) || c->file == NULL)
        return refuse(c);
    if ((c->flags & SUBMIT_DISCARD) != 0) {
        qfile_abort(&c->file);
        return 0;
    }
    cleanup_put(c, REC_END, STR(""));
    fill_in(c);
    if (qfile_commit(&c->file, &c->why) < 0)
        return -1;
    if ((c->flags & SUBMIT_HOLD) != 0)
        return 0;
    c->d.queue = Q_INCOMING;
    c->d.content_size = c->size.size;
    c->d.rcpts = c->rcpts.at;
    c->d.nrcpts = c->rcpts.n;
    delivery_announce(&c->d);
    return 0;
}
