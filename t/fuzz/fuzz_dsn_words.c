/* Files with words for delivery reports, of any bytes. */
#include <stdint.h>

#include "base/str.h"
#include "mail/dsn_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *mem = arena_new(NULL);
    struct dsn_words words[DSN_REPORT_KINDS];
    struct buf text = BUF(64 << 20);
    struct why why = WHY;

    dsn_words_builtin(words);
    dsn_words_parse(mem, (struct str){(const char *)data, size}, words, &why);
    dsn_words_format(words, &text);
    buf_free(&text);
    why_free(&why);
    arena_free(&mem);
    return 0;
}
