/*
 * The words of IMAP commands, FETCH items and SEARCH keys: no input reads past its end, and what
 * is taken is a part of the input or of the arena.
 */
#include <assert.h>
#include <stdint.h>

#include "imap_criteria.h"
#include "imap_fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new(NULL);
    struct str text = {(const char *)data, size}, word;
    struct criteria_context context = {1000, 5000, 100, 2000};
    struct search_key *key;
    const char *error;
    struct fetch_items items;
    struct imap_literal literal;

    struct imap_args a = {text, mem};
    assert((criteria_parse(&a, &context, &key, &error) == CRITERIA_OK) == (key != NULL));
    criteria_free(key);
    a = (struct imap_args){text, mem};
    fetch_parse(&a, &items);
    a = (struct imap_args){text, mem};
    while (imap_take_astring(&a, &word) || imap_take_list_mailbox(&a, &word) ||
           imap_take_flag(&a, &word) || imap_take_nstring(&a, &word))
        imap_take_space(&a);
    imap_literal_at_end(text, &literal);
    arena_free(&mem);
    return 0;
}
