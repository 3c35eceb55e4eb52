/* Source texts of maps and aliases, and the items of an alias. */
#include <stdint.h>
#include <stdlib.h>

#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/alias_text.h"
#include "dict/dict_make.h"

static void sink(const char *level __attribute__((unused)),
                 const char *text __attribute__((unused)))
{
}

static bool entry(void *arg __attribute__((unused)), const char *key __attribute__((unused)),
                  const char *value, int number)
{
    struct buf item = BUF(1 << 20);
    struct str rest = strz(value);

    while (alias_item(&rest, &item))
        if (item.n > 3 * strlen(value))
            abort();
    buf_free(&item);
    return number > 0;
}

/* A .forward file comes as it is, zero bytes and all. */
static void items(struct str text)
{
    struct buf item = BUF(1 << 20);
    struct str rest = text;
    size_t before = rest.n + 1;

    while (alias_item(&rest, &item)) {
        struct str mark = alias_find(rest, ":;");
        if (mark.p + mark.n != rest.p + rest.n || (mark.n > 0 && *mark.p != ':' && *mark.p != ';'))
            abort(); /* no end of it, or another one */
        if (rest.n >= before)
            abort(); /* no progress */
        before = rest.n;
    }
    buf_free(&item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};

    msg_capture(sink);
    conf.smtputf8_enable = true;
    items(text);
    source_read(SOURCE_MAP, "map", text, entry, NULL);
    source_read(SOURCE_ALIASES, "aliases", text, entry, NULL);
    return 0;
}
