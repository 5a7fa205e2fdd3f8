#define _GNU_SOURCE
#include "gate/detach.h"

#include "base/system.h"
#include "store/users.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t silent_fork(void)
{
	return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

bool adopts_orphans(void)
{
	int subreaper = 0;
	return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper);
}

void leave_descriptors(int *const *keep, size_t count)
{
	struct rlimit files = {.rlim_cur = 1024};
	int next = 64; /* above what callers use, so that what we keep can be moved out of the way first */
	for (size_t i = 0; i < count; i++) {
		if (*keep[i] < 0)
			continue;
		*keep[i] = fcntl(*keep[i], F_DUPFD_CLOEXEC, next);
		next = *keep[i] + 1;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	int lowest = count && *keep[0] >= 0 ? *keep[0] : 3;
	unsigned from = 0;
	for (size_t i = 0; i < count; i++) {
		if (*keep[i] < 0)
			continue;
		if ((unsigned)*keep[i] > from)
			syscall(436 /* close_range */, from, (unsigned)*keep[i] - 1, 0);
		from = (unsigned)*keep[i] + 1;
	}
	if (syscall(436, from, ~0u, 0) < 0) {
		/* Before Linux 5.9. */
		for (int fd = 0; fd < lowest; fd++)
			close(fd);
		for (rlim_t fd = from; fd < files.rlim_cur && fd < 65536; fd++)
			close((int)fd);
	}
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = null < 0 ? 0 : 1; fd < 3; fd++)
		fcntl(null < 0 ? lowest : null, F_DUPFD_CLOEXEC, fd);
}

void leave_session(void)
{
	setsid();
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL); /* those that we want are waited for; nothing interrupts us */
	/* Ignored, as a caller may have left it to us, it would hide the guard's death. */
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	if (chdir("/") < 0)
		return; /* it only keeps a mount busy */
	prctl(PR_SET_NAME, FILLER_NAME);
	/* One descriptor a gated file. The app, which is another process, keeps its own limit. */
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		set_limit(RLIMIT_NOFILE, &files);
	}
}
