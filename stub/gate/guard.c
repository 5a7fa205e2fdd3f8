#define _GNU_SOURCE
#include "gate/guard.h"

#include "base/fault.h"
#include "base/system.h"
#include "gate/deadline.h"
#include "store/users.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Wait until the filler is dead, or does not move: then do its work. The signal only wakes us: it comes when the filler's main
 * thread has ended, and another one may be writing yet. Our parent is another one only when none of them runs any more. */
static _Noreturn void guard_main(struct filler *filler, pid_t watched, take_over *become)
{
	struct gate_shared *shared = filler->gate->shared;
	uint32_t beat = atomic_load(&shared->beat);
	unsigned missed = 0;
	sigset_t awaited;
	prctl(PR_SET_NAME, GUARD_NAME);
	prctl(PR_SET_PDEATHSIG, GUARD_SIGNAL);
	deadline_make(filler->patience);
	sigemptyset(&awaited);
	sigaddset(&awaited, GUARD_SIGNAL);
	while (getppid() == watched) {
		struct timespec period = {.tv_sec = BEAT_MS / 1000};
		deadline_set(now_us());
		if (sigtimedwait(&awaited, NULL, &period) >= 0)
			continue;
		uint32_t seen = atomic_load(&shared->beat);
		missed = seen == beat ? missed + 1 : 0;
		beat = seen;
		if (missed >= MISSED_BEATS && getppid() == watched)
			kill(watched, SIGKILL); /* stopped: two must not work at once */
	}
	if (!atomic_load(&shared->said))
		_exit(EXIT_FAILED); /* with us the pipe is closed, by which the app-to-be waits */
	become(filler);
	_exit(EXIT_FAILED); /* never: this only tells the compiler */
}

/* The C library's fork has no table for two. What its fork would have put right is right: only this thread makes threads, and
 * none ever ends, so nobody holds a lock of the library's, and the allocator has none. */
bool guard_spawn(struct filler *filler, take_over *become)
{
	pid_t self = getpid();
	pid_t guard = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (guard == 0)
		guard_main(filler, self, become);
	filler->guard = guard > 0 ? guard : 0;
	return guard > 0;
}

void guard_dismiss(struct filler *filler)
{
	if (filler->guard <= 0)
		return;
	kill(filler->guard, SIGKILL);
	waitpid(filler->guard, NULL, 0); /* nobody else would, in a container whose first process is just some program */
}
