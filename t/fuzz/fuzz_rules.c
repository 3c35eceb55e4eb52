/* The first line is the key, the rest the rules of a pcre table or, after '!', of a cidr table. */
#include <stdint.h>
#include <unistd.h>

#include "base/file.h"
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"
#include "dict/dict.h"

static void sink(const char *level __attribute__((unused)),
                 const char *text __attribute__((unused)))
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, key = STR("");
    struct buf k = BUF(1 << 20), value = BUF(1 << 20), spec = BUF(200);

    conf.pcre_match_limit = 1000;
    conf.pcre_heap_limit = 1 << 20;
    msg_capture(sink);
    str_split(&text, '\n', &key);
    buf_add(&k, str_trim(key));
    buf_addf(&spec, "%s:/tmp/fuzz_rules.%d", k.n > 0 && k.p[0] == '!' ? "cidr" : "pcre", getpid());
    file_replace(strchr(spec.p, '/'), text, 0600, NULL);
    struct dict *d = dict_open(spec.p, DICT_READ, 0, NULL);
    if (d != NULL && dict_find(d, k.p, &value, NULL) == DICT_FOUND && value.full)
        abort();
    dict_close(&d);
    unlink(strchr(spec.p, '/'));
    buf_free(&k);
    buf_free(&value);
    buf_free(&spec);
    return 0;
}
