/*
 * Names of message files.
 */
#include "store/maildir_name.h"

#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "store/mailbox.h"

static const char capitals[] = "DFPRST";

static bool letter_bit(char c, uint32_t *bit)
{
    const char *at;

    if (c >= 'a' && c <= 'z')
        *bit = 1u << (c - 'a');
    else if (c != '\0' && (at = strchr(capitals, c)) != NULL)
        *bit = 1u << (KEYWORD_LETTERS + (at - capitals));
    else
        return false;
    return true;
}

static uint64_t find_size(struct str base, const char *key)
{
    /* Most names that other programs make have no comma: quicker than a search for the key. */
    ptrdiff_t at = str_find(base, ',') < 0 ? -1 : str_search(base, strz(key));
    struct str digits;
    size_t n = 0;
    uint64_t size = 0;

    if (at < 0)
        return 0;
    digits = str_from(base, (size_t)at + strlen(key));
    while (n < digits.n && digits.p[n] >= '0' && digits.p[n] <= '9')
        n++;
    return num_parse_u64(str_upto(digits, n), 0, INT64_MAX, &size) ? size : 0;
}

static bool parse_letters(struct str text, uint32_t *letters)
{
    uint32_t bit, last = 0;

    /* In ascending order of the characters, as maildir_name_format writes them. */
    for (size_t i = 0; i < text.n; i++) {
        if (!letter_bit(text.p[i], &bit) || (i > 0 && text.p[i] <= text.p[i - 1]))
            return false;
        last |= bit;
    }
    *letters = last;
    return true;
}

bool maildir_name_parse(struct str name, struct maildir_name *out)
{
    ptrdiff_t colon;

    *out = (struct maildir_name){.base = name, .bare = true};
    if (name.n == 0 || name.n > 255 || name.p[0] == '.' || memchr(name.p, '/', name.n) != NULL ||
        memchr(name.p, '\0', name.n) != NULL || memchr(name.p, '\n', name.n) != NULL)
        return false;
    colon = str_find(name, ':');
    if (colon < 0)
        return true;
    struct str info = str_from(name, (size_t)colon);
    out->bare = false;
    if (colon == 0 || !str_starts(info, STR(":2,")) ||
        !parse_letters(str_from(info, 3), &out->letters)) {
        out->odd = true;
        /* Known letters count even so: other programs add their own. */
        uint32_t bit;
        for (size_t i = 3; str_starts(info, STR(":2,")) && i < info.n; i++)
            if (letter_bit(info.p[i], &bit))
                out->letters |= bit;
        return true;
    }
    out->base = str_upto(name, (size_t)colon);
    return true;
}

uint64_t maildir_name_size(struct str base)
{
    return find_size(base, ",S=");
}

uint64_t maildir_name_vsize(struct str base)
{
    return find_size(base, ",W=");
}

bool maildir_size_fits(uint64_t size, uint64_t vsize)
{
    return size > 0 && vsize >= size && vsize / 2 <= size;
}

void maildir_name_format(struct str base, bool bare, uint32_t letters, struct buf *out)
{
    buf_add(out, base);
    if (bare)
        return;
    buf_addz(out, ":2,");
    for (int i = 0; i < 6; i++)
        if (letters & 1u << (KEYWORD_LETTERS + i))
            buf_addc(out, capitals[i]);
    for (int i = 0; i < KEYWORD_LETTERS; i++)
        if (letters & 1u << i)
            buf_addc(out, (char)('a' + i));
}

static const struct {
    uint32_t flag;
    int letter;
} pairs[] = {
    {MSG_DRAFT, LETTER_DRAFT}, {MSG_FLAGGED, LETTER_FLAGGED}, {MSG_ANSWERED, LETTER_REPLIED},
    {MSG_SEEN, LETTER_SEEN},   {MSG_DELETED, LETTER_TRASHED},
};

uint32_t maildir_letters(uint32_t flags, uint64_t keywords)
{
    uint32_t letters = (uint32_t)keywords & ((1u << KEYWORD_LETTERS) - 1);

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (flags & pairs[i].flag)
            letters |= 1u << pairs[i].letter;
    return letters;
}

uint32_t maildir_flags(uint32_t letters)
{
    uint32_t flags = 0;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (letters & 1u << pairs[i].letter)
            flags |= pairs[i].flag;
    return flags;
}

uint64_t maildir_keywords(uint32_t letters)
{
    return letters & ((1u << KEYWORD_LETTERS) - 1);
}
