#define _GNU_SOURCE
#include "gate/guard.h"

#include "base/fault.h"
#include "base/file.h"
#include "store/users.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Wait until the filler is dead, or does not move: then do its work. */
static _Noreturn void guard_main(struct gate *gate, int pipe, pid_t watched, take_over *become)
{
	uint32_t beat = atomic_load(&gate->shared->beat);
	unsigned missed = 0;
	prctl(PR_SET_NAME, GUARD_NAME);
	for (;;) {
		struct pollfd events = {.fd = pipe};
		if (poll(&events, 1, BEAT_MS) > 0)
			break; /* its end of the pipe is closed */
		uint32_t seen = atomic_load(&gate->shared->beat);
		missed = seen == beat ? missed + 1 : 0;
		beat = seen;
		if (missed >= MISSED_BEATS && getppid() == watched)
			kill(watched, SIGKILL); /* stopped: two must not work at once */
	}
	close(pipe);
	become(gate, true);
	_exit(EXIT_FAILED); /* never: this only tells the compiler */
}

void guard_spawn(struct filler *filler, take_over *become)
{
	int ends[2];
	pid_t self = getpid();
	close_fd(&filler->guard_pipe);
	filler->guard = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid_t guard = fork();
	if (guard == 0) {
		close(ends[1]);
		close(filler->job_tickets); /* it would have its own */
		guard_main(filler->gate, ends[0], self, become);
	}
	close(ends[0]);
	if (guard < 0) {
		close(ends[1]);
		return;
	}
	filler->guard = guard;
	filler->guard_pipe = ends[1];
}

void guard_dismiss(struct filler *filler)
{
	if (filler->guard <= 0)
		return;
	kill(filler->guard, SIGKILL);
	waitpid(filler->guard, NULL, 0); /* nobody else would, in a container whose first process is just some program */
}
