#include <malloc.h>
#include <stdint.h>

#include "base/mem.h"

#include "test.h"

enum { BLOCKS = 2000, SIZE = 40, NEW = 50, NEAR = 16 * 1024 };

/* A heap with a hole at every second block. */
static void riddle(char **blocks)
{
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = mem_new(SIZE);
    for (int i = 0; i < BLOCKS; i += 2) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

TEST(after_filling_the_holes_new_blocks_lie_together_at_the_end)
{
    char *blocks[BLOCKS], *new[NEW];
    uintptr_t last = 0;

    riddle(blocks);
    for (int i = 0; i < BLOCKS; i++)
        if ((uintptr_t)blocks[i] > last)
            last = (uintptr_t)blocks[i];
    mem_fill_holes();
    for (int i = 0; i < NEW; i++) {
        new[i] = mem_new(SIZE);
        if (mallinfo2().keepcost > 0) { /* else not the C library's allocator */
            assert_true((uintptr_t) new[i] > last);
            assert_true((uintptr_t) new[i] - (uintptr_t) new[0] < NEAR);
        }
    }
    for (int i = 0; i < NEW; i++)
        free(new[i]);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

RUN_TESTS(T(after_filling_the_holes_new_blocks_lie_together_at_the_end))
