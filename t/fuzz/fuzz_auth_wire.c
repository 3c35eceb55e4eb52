/*
 * Lines of the authentication protocol: what is taken apart and put together again is the same.
 */
#include <assert.h>
#include <stdint.h>

#include "auth/auth_wire.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf line = BUF(AUTH_LINE_MAX), again = BUF(4 * AUTH_LINE_MAX);
    struct auth_msg m, n;

    buf_add(&line, (struct str){(const char *)data, size});
    if (line.n > 0 && auth_msg_parse(line.p, line.n, &m) && m.verb != AUTH_V_UNKNOWN) {
        if (m.id != 0)
            auth_wire_begin_id(&again, m.verb, m.id);
        else
            auth_wire_begin(&again, m.verb);
        for (size_t i = 0; i < m.n; i++)
            auth_wire_arg(&again, m.arg[i]);
        assert(memchr(again.p, '\n', again.n) == NULL && memchr(again.p, '\0', again.n) == NULL);
        assert(auth_msg_parse(again.p, again.n, &n) && n.verb == m.verb && n.id == m.id);
        assert(n.n == m.n);
        for (size_t i = 0; i < m.n; i++)
            assert(str_eq(m.arg[i], n.arg[i]));
    }
    buf_free(&line);
    buf_free(&again);
    return 0;
}
