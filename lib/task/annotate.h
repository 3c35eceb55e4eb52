/* annotate.h - what AddressSanitizer and Valgrind must be told about stacks; else nothing */
#ifndef TASK_ANNOTATE_H
#define TASK_ANNOTATE_H

#include <stddef.h>

#ifdef __SANITIZE_ADDRESS__
#define ANNOTATE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ANNOTATE_ASAN 1
#endif
#endif
#ifndef ANNOTATE_ASAN
#define ANNOTATE_ASAN 0
#endif

#if ANNOTATE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define __sanitizer_start_switch_fiber(save, low, size)       ((void)(save), (void)(low), (void)(size))
#define __sanitizer_finish_switch_fiber(fake, old_low, old_n) ((void)(fake), (void)(old_n))
#define __asan_unpoison_memory_region(p, n)                   ((void)(p), (void)(n))
#define __lsan_register_root_region(p, n)                     ((void)(p), (void)(n))
#define __lsan_unregister_root_region(p, n)                   ((void)(p), (void)(n))
#endif

#ifdef POMBAL_VALGRIND
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id)      ((void)(id))
#endif

static inline unsigned annotate_stack_new(char *low, size_t size)
{
    __asan_unpoison_memory_region(low, size);
    __lsan_register_root_region(low, size);
    return (unsigned)VALGRIND_STACK_REGISTER(low, low + size);
}

static inline void annotate_stack_drop(char *low, size_t size, unsigned registration)
{
    __lsan_unregister_root_region(low, size);
    __asan_unpoison_memory_region(low, size);
    VALGRIND_STACK_DEREGISTER(registration);
}

/* Before a switch to the stack at low, and behind it. save null: the present stack ends. */
static inline void annotate_leave(void **save, const char *low, size_t size)
{
    __sanitizer_start_switch_fiber(save, low, size);
}

static inline void annotate_arrive(void *fake, const void **from_low, size_t *from_size)
{
    __sanitizer_finish_switch_fiber(fake, from_low, from_size);
    (void)from_low;
}

/* The real address of a local variable (the sanitizer may keep it elsewhere: then 0 is trimmed). */
static inline char *annotate_address(char *local)
{
#if ANNOTATE_ASAN
    (void)local;
    return __builtin_frame_address(0);
#else
    return local;
#endif
}

#endif
