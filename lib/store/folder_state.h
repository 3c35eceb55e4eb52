/* folder_state.h - what a folder holds, as its journal tells it: messages, names, keywords */
#ifndef STORE_FOLDER_STATE_H
#define STORE_FOLDER_STATE_H

#include "base/vec.h"
#include "store/blobs.h"
#include "store/journal.h"
#include "store/mailbox.h"
#include "store/maildir_name.h"
#include "store/uidset.h"

/* The store's own bits in msg.flags. */
enum {
    SLOT_NEW = 1 << 16, /* the file is in new/ */
    SLOT_BARE = 1 << 17, /* its name has no ":2," */
    SLOT_ODD = 1 << 18, /* names holds the whole file name */
    SLOT_GONE = 1 << 19, /* expunged; kept while views may show it */
    SLOT_DIRTY = 1 << 20, /* the file name does not tell the flags */
    SLOT_FILE = SLOT_NEW | SLOT_BARE | SLOT_ODD,
};

/* 48 bytes a message; the name comes on top. */
struct slot {
    struct msg m;
    uint32_t name; /* where in names */
    uint32_t letters; /* that the file name has */
};

enum event_kind { EVENT_ADDED, EVENT_FLAGS, EVENT_EXPUNGED };
struct event { /* a range of uids */
    enum event_kind kind;
    uint32_t low, high;
    const void *silent; /* the view that made the change silently and is not told */
};
struct events {
    VEC(struct event) list;
    const void *silent;
};

struct keyword {
    char *name; /* "": the place is free */
    struct uidset uids; /* of the messages that have it; the first 64 are bits of each message */
};
enum { KEYWORD_PLACES = 1 << 16 };

struct state {
    uint32_t uidnext, recent;
    uint64_t modseq;
    struct slot *slots; /* ascending by uid */
    size_t n, room, gone;
    char *names; /* each with a zero byte */
    size_t names_n, names_room;
    VEC(struct keyword) keywords;
    VEC(char *) old_names;
    uint32_t renamed; /* counts the names that were given */
    int64_t seen_new, seen_cur; /* times of the directories up to which they are merged, in ns */
    int64_t sure_at; /* when they were last read whole, seconds */
    struct journal_list list; /* dovecot-uidlist; ino 0: not kept */
    uint64_t clean_at; /* the modseq at which all file names told their flags; 0: not known */
};

void state_init(struct state *s);
void state_free(struct state *s); /* may be used again after state_init */
void state_forget(struct state *s); /* drops the messages; keeps uidnext, modseq, list */
/* A copy of all but the slots that are gone, into a state after state_init. */
void state_copy(const struct state *s, struct state *to);

/* Applies a record; appends the changes to events (may be null). False: the record does not fit
 * this state. */
bool state_apply(struct state *s, const struct journal_rec *rec, struct str payload,
                 struct events *events);
/* The payload of J_CHECK: all but the slots that are gone. */
void state_check(const struct state *s, struct buf *out);
/* A message for J_ADD or J_MOVED: the slot and its name. */
void state_entry(const struct slot *slot, struct str name, struct buf *out);

/* Cuts the next entry off *p. False: there is no valid one. */
bool state_next_entry(struct str *p, struct slot *slot, struct str *name);

/* The index of the first slot with that uid or above; n if none. */
size_t state_find(const struct state *s, uint32_t uid);
struct slot *state_slot(const struct state *s, uint32_t uid); /* null: not there, or gone */
struct str state_name(const struct state *s, const struct slot *slot);
struct blob state_blob(const struct state *s, const struct slot *slot); /* borrows the name */

/* state_keyword.c */
bool state_keyword_ok(struct str name);
int state_keyword(const struct state *s, struct str name); /* -1: not defined */
struct str state_keyword_name(const struct state *s, size_t i); /* "": free */
bool state_has_keyword(const struct state *s, const struct slot *slot, size_t i);
bool state_name_keyword(struct state *s, size_t i, struct str name); /* false: not allowed */
void state_free_keywords(struct state *s); /* frees their memory */
uint32_t state_unnamed(const struct state *s); /* bits of letters without a keyword here */

#endif
