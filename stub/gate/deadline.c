#define _GNU_SOURCE
#include "gate/deadline.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int timer = -1;
static uint64_t margin; /* nine tenths of the kernel's */

/* By system calls, which take and give what the C library's functions do: those bring a thread to handle notices. */
bool deadline_make(uint64_t break_time)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	timer = -1; /* timers are not inherited */
	margin = break_time / 10 * 9;
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0)
		return true;
	timer = -1;
	return false;
}

void deadline_set(uint64_t since)
{
	uint64_t at = since ? since + margin : 0;
	struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / 1000000), .tv_nsec = (long)(at % 1000000) * 1000}};
	if (timer >= 0)
		syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &when, NULL);
}
