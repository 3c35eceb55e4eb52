/* journal.h - the log of a folder: its records, and reading them one by one */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * The file begins with struct journal_head; then come records: struct journal_rec, payload, padding
 * to 8 bytes, struct journal_tail. Numbers are in the byte order of the machine (the head tells).
 * The sum of a record covers all of it, seeded with the file's generation and the record's place,
 * so that neither a torn record nor a stray old one passes. The tail leads from the end of the file
 * to the last record, which tells the next uid: a delivery needs no more.
 *
 * A file is begun under another name, synced and renamed; from then on it is only appended to,
 * under the folder's lock. Bytes at the end whose sum is wrong, seen under the lock, are a torn
 * record and are cut off. If a good record is found behind a bad one, the file is damaged.
 */
struct journal_head {
    char magic[8];
    uint32_t order; /* 0x01020304 */
    uint32_t uidvalidity;
    uint64_t generation; /* random: names this file */
    int64_t created;
    uint64_t ino; /* of this file, when it was written; 0: not told. A copy has another one. */
    uint64_t made; /* its size before anything was appended; 0: not told */
    uint32_t reserved[3];
    uint32_t sum;
};

enum journal_type {
    J_CHECK = 1, /* the whole state: journal_check, slots, names, keywords */
    J_ADD, /* journal_add, then slots with their names */
    J_FLAGS, /* journal_flags, then ranges */
    J_EXPUNGE, /* journal_ranges, then ranges */
    J_KEYWORD, /* a name with its zero byte: the next keyword */
    J_NAMES, /* journal_ranges: their files are in cur/ and tell their flags */
    J_MOVED, /* journal_ranges (count), then slots with names: what others renamed */
    J_RECENT, /* journal_recent */
    J_DIRS, /* journal_dirs: the directories as they were merged */
    J_UIDNEXT, /* nothing: the record's uidnext counts */
    J_SIZES, /* journal_ranges (count), then journal_size: found later */
    J_DATES, /* journal_ranges (count), then journal_date: asked for later; the first one counts */
    J_KEYWORD_AT, /* journal_keyword_at, a name with its zero byte; empty: the place is free */
    J_KEYWORD_OF, /* journal_keyword_of, then ranges: messages that have it, from the 65th on */
    J_LIST, /* journal_list: dovecot-uidlist as it was written last; last of all that is written */
};

struct journal_rec {
    uint32_t size; /* of all, a multiple of 8 */
    uint16_t type;
    uint16_t padding; /* bytes before the tail */
    uint32_t uidnext; /* after this record */
    uint32_t sum;
    uint64_t modseq; /* of the folder after this record */
};
struct journal_tail {
    uint32_t size, check; /* check: size xor JOURNAL_TAIL */
};

struct journal_check {
    uint32_t count, names; /* slots; bytes of names */
    uint32_t keywords, recent; /* number of them; first uid that nobody was told of */
    int64_t seen_new, seen_cur, sure_at; /* as in journal_dirs */
};
struct journal_add {
    uint32_t count, in_cur; /* which directory got the files */
    int64_t before, after; /* its time, in nanoseconds; 0: not known */
};
struct journal_flags {
    uint32_t op, flags;
    uint64_t keywords;
    uint32_t ranges, reserved;
};
struct journal_ranges {
    uint32_t count, reserved;
    int64_t before, after; /* times of cur/, ns; for J_NAMES */
};
struct journal_recent {
    uint32_t uid, reserved;
};
struct journal_dirs {
    int64_t seen_new, seen_cur; /* times of the directories, ns */
    int64_t sure_at; /* when both were read, seconds since 1970 */
};
struct journal_size {
    uint32_t uid, reserved;
    uint64_t size;
};
struct journal_keyword_at {
    uint32_t index, reserved;
};
struct journal_keyword_of {
    uint32_t op; /* enum flag_op: add or drop; JOURNAL_HAS: no change, but what is known */
    uint32_t index, ranges, reserved;
};
struct journal_list {
    uint64_t ino, size; /* ino 0: it is not kept */
    uint64_t head; /* sum of its first bytes: they tell the uidvalidity and the next uid */
};
struct journal_date {
    uint32_t uid, reserved;
    int64_t received;
};

enum { JOURNAL_TAIL = 0x6c696174, JOURNAL_MAX = 1 << 30, JOURNAL_HAS = 3 };

/* A checksum that detects torn and swapped bytes; n is a multiple of 8. */
uint32_t journal_sum(const void *p, size_t n, uint64_t seed);

/* A new head with a random generation; ino: of the file that it goes to. */
void journal_head_make(struct journal_head *h, uint32_t uidvalidity, uint64_t ino);
void journal_head_seal(struct journal_head *h); /* after a change of h: its sum */
bool journal_head_ok(const struct journal_head *h); /* magic, byte order and sum are right */

/* Building: begin, add the payload to b, end. at: where b's first byte will stand in the file. */
size_t journal_begin(struct buf *b, enum journal_type type);
void journal_end(struct buf *b, size_t start, const struct journal_head *h, off_t at,
                 uint64_t modseq, uint32_t uidnext);

/* The record at the start of bytes (aligned to 8), which are at the offset at of the file; *payload
 * is its payload, inside bytes. Null: no complete record with a right sum. */
const struct journal_rec *journal_parse(const struct journal_head *h, struct str bytes, off_t at,
                                        struct str *payload);
/* The size of the last record, from the last bytes of a file; 0: torn. */
uint32_t journal_last(struct str bytes);
/* Is there a good record anywhere in bytes? Then what is before it is damage, not a torn end. */
bool journal_any(const struct journal_head *h, struct str bytes, off_t at);

#endif
