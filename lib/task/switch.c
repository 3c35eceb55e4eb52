/*
 * The switch itself: saves what the calling convention says a function must keep, changes the stack
 * pointer, restores. A file of its own since it is compiled without shadow stack marks: the linker
 * then marks the program as not for shadow stacks, which a hand-made stack would break.
 */
#include "task/switch.h"

#if defined(__x86_64__)

/* rdi: where to save the stack pointer; rsi: the new one. System V ABI 3.2.1: rbx rbp r12-r15. */
__asm__(".text\n"
        ".globl task_switch_stack\n"
        ".hidden task_switch_stack\n"
        ".type task_switch_stack, @function\n"
        ".balign 16\n"
        "task_switch_stack:\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size task_switch_stack, . - task_switch_stack\n");

void *task_first_frame(void *top, void (*entry)(void))
{
    void **sp = top; /* 16-byte aligned: at entry, sp + 8 must be */

    *--sp = NULL; /* entry's return address: end of a backtrace */
    *--sp = (void *)entry;
    for (int saved = 0; saved < 6; saved++)
        *--sp = NULL;
    return sp;
}

#elif defined(__aarch64__)

/* x0, x1 as above. AAPCS64 6.1: x19-x29, x30 (where to return), d8-d15. */
__asm__(".text\n"
        ".globl task_switch_stack\n"
        ".hidden task_switch_stack\n"
        ".type task_switch_stack, %function\n"
        ".balign 16\n"
        "task_switch_stack:\n"
        "    hint #34\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size task_switch_stack, . - task_switch_stack\n");

void *task_first_frame(void *top, void (*entry)(void))
{
    void **sp = (void **)top - 20;

    for (int saved = 0; saved < 20; saved++)
        sp[saved] = NULL;
    sp[11] = (void *)entry; /* x30 */
    return sp;
}

#else
#error "lib/task/switch.c: no stack switch for this processor yet"
#endif
