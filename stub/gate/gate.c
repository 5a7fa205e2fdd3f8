#define _GNU_SOURCE
#include "gate/gate.h"

#include "base/file.h"
#include "base/system.h"
#include "gate/detach.h"
#include "gate/filler.h"
#include "gate/image_lease.h"
#include "gate/skeleton.h"
#include "image/image.h"
#include "store/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GO_WITHIN_MS = 20000 };

static void answer(int pipe, const struct fault *fault)
{
	const char *at = (const void *)fault;
	for (size_t left = sizeof *fault; left;) {
		ssize_t put = write(pipe, at, left);
		if (put < 0 && errno != EINTR)
			_exit(1);
		at += put > 0 ? put : 0;
		left -= put > 0 ? (size_t)put : 0;
	}
}

static int share(struct gate *gate, int report, struct fault *fault)
{
	size_t size = sizeof *gate->shared + gate->image->index.head->nodes * sizeof *gate->shared->nodes;
	/* At once, so that it is not found out later that there is no memory. */
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		return FAILED(fault, "no memory to gate with");
	gate->shared = memory;
	gate->shared->report = report;
	gate->shared->claim = gate->shared->spare = gate->shared->old = -1;
	gate->shared->refusing = NOBODY;
	for (unsigned i = 0; i < TIES_MAX; i++)
		gate->shared->ties[i].ours = -1;
	return 0;
}

static _Noreturn void filler_main(struct gate *gate, int report)
{
	struct fault fault = {0};
	struct filler filler;
	struct image *image = (struct image *)gate->image;
	int lock = openat(gate->entry_fd, ENTRY_FILLER, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400);
	int *const keep[] = {&report, &image->fd, &gate->entry_fd, &gate->tree.root, &lock};
	leave_session();
	leave_descriptors(keep, COUNT(keep));
	image_lease_take(gate); /* without one, too, no byte is taken for the image's that is not */
	bool changed = !image_is_hashed(image) && !image_unchanged(image); /* from here on the lease vouches for it */
	if (report < 0)
		_exit(1); /* no descriptor left even for that: who waits at the other end sees it close */
	if (image->fd < 0 || gate->entry_fd < 0 || gate->tree.root < 0 || lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		FAILED(&fault, "cannot set up the filler: ", reason_text(errno));
	else if (changed)
		BAD_IMAGE(&fault, "changed while it was read; start it again");
	else if (share(gate, report, &fault) == 0 && skeleton_make(gate, &fault) == 0 && filler_prepare(&filler, gate, &fault) == 0)
		filler_run(&filler);
	answer(report, &fault);
	_exit(1);
}

/* The filler's fault, or none when it says that the app may go. */
static int wait_for_go(int pipe, struct fault *fault)
{
	struct fault told;
	char *at = (void *)&told;
	for (size_t left = sizeof told; left;) {
		/* One that is stopped before the app runs would keep the app waiting for ever. */
		struct pollfd events = {.fd = pipe, .events = POLLIN};
		if (poll(&events, 1, GO_WITHIN_MS) == 0)
			return BAD_STORE(fault, "the filler does not move");
		ssize_t got = read(pipe, at, left);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return BAD_STORE(fault, "the filler died");
		at += got;
		left -= (size_t)got;
	}
	if (told.kind == FAULT_NONE)
		return 0;
	*fault = told;
	return -1;
}

int gate_start(struct gate *gate, struct fault *fault)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return FAILED(fault, "no pipe: ", reason_text(errno));
	CLEANUP(close_fd) int from = ends[0];
	CLEANUP(close_fd) int to = ends[1];
	bool direct = adopts_orphans();
	pid_t child = silent_fork();
	if (child == 0) {
		/* The C library's own fork puts its notion of the thread right, which the bare system call does not. */
		if (direct)
			filler_main(gate, to);
		pid_t filler = fork();
		if (filler == 0)
			filler_main(gate, to);
		_exit(filler < 0);
	}
	if (child < 0)
		return FAILED(fault, "cannot fork: ", reason_text(errno));
	close_fd(&to);
	if (!direct)
		while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
			continue;
	return wait_for_go(from, fault);
}
