/* What a password worker is asked: what parses prints in a form that parses to the same. */
#include <assert.h>
#include <stdint.h>

#include "auth/auth_question.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct auth_question one, two;
    struct buf out = BUF(2 * size + 100);

    if (auth_question_parse(text, &one)) {
        assert(one.user.n + one.plain.n + one.stored.n <= size);
        auth_question_format(&one, &out);
        assert(buf_ok(&out) && auth_question_parse(buf_str(&out), &two));
        assert(str_eq(one.user, two.user) && str_eq(one.plain, two.plain) &&
               str_eq(one.stored, two.stored));
    }
    buf_free(&out);
    return 0;
}
