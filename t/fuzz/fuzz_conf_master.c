/*
 * master.cf: any text gives services with all their columns, or an error.
 */
#include <stdint.h>

#include "conf/conf_master.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_master m;

    if (conf_master_parse((struct str){(const char *)data, size}, "x", true, 100, &m, NULL) < 0)
        return 0;
    for (size_t i = 0; i < m.n; i++)
        if (m.at[i].argv[m.at[i].argc] != NULL || m.at[i].column[COLUMN_COMMAND] == NULL)
            __builtin_trap();
    conf_master_free(&m);
    return 0;
}
