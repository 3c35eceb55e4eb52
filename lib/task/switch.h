/* switch.h - the part of stack.c that is assembly */
#ifndef TASK_SWITCH_H
#define TASK_SWITCH_H

#include <stddef.h>

/* Saves the callee-saved registers and the stack pointer (in *save_sp), and continues at new_sp. */
void task_switch_stack(void **save_sp, void *new_sp);
/* The stack pointer of a new stack whose first switch calls entry. */
void *task_first_frame(void *top, void (*entry)(void));

#endif
