#define _GNU_SOURCE
#include "gate/gate.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/text.h"
#include "store/users.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SMALL = 4 << 20,    /* below this all of it is unpacked sooner than a filler could be set up to save anything */
	FEW_FILES = 32,
	PATIENCE_MS = 20000,
	BREAK_TIME_MIN = 8, /* seconds; a file must be full well before the kernel lets its opener through */
};

int gate_mode(const char *name)
{
	static const char *const names[] = {[FILL_AUTO] = "auto", [FILL_EAGER] = "eager", [FILL_BACKGROUND] = "background", [FILL_DEMAND] = "demand"};
	if (!name || !*name)
		return FILL_AUTO;
	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (int)i;
	return -1;
}

static long number_in(const char *path)
{
	char text[24];
	return read_text(AT_FDCWD, path, text, sizeof text) > 0 ? (long)parse_decimal(text) : -1;
}

long gate_break_time(void)
{
	return number_in("/proc/sys/fs/lease-break-time");
}

/* A lease on a file of our own, in the store itself: the one test that is never wrong. The file has no name, so that starts
 * side by side do not meet; file systems that know none of that kind give no leases either. */
static bool grants_leases(int root)
{
	CLEANUP(close_fd) int fd = openat(root, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	return fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
}

static enum fill_mode eager_because(const char *reason)
{
	debug_log("unpacking everything first: ", reason, (char *)NULL);
	return FILL_EAGER;
}

enum fill_mode gate_choose(enum fill_mode asked, const struct index *index, int root)
{
	if (asked == FILL_EAGER)
		return FILL_EAGER;
	uint64_t content = index->head->content_size;
	if (asked == FILL_AUTO && (content < SMALL || index->head->nodes < FEW_FILES))
		return eager_because("it is small");
	if (number_in("/proc/sys/fs/leases-enable") != 1)
		return eager_because("this kernel gives no leases, or has no /proc to ask");
	if (gate_break_time() < BREAK_TIME_MIN)
		return eager_because("fs.lease-break-time is too short");
	if (!grants_leases(root))
		return eager_because("the store's file system refuses leases");
	if (asked != FILL_AUTO)
		return asked;
	/* An app seldom touches more than half of itself: where its whole would take a third of the memory, keep to that half. */
	uint64_t memory = memory_available();
	return memory != UINT64_MAX && content > memory / 3 ? FILL_DEMAND : FILL_BACKGROUND;
}

bool gate_alive(int entry)
{
	CLEANUP(close_fd) int fd = openat(entry, "filler", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* A child that ends without a SIGCHLD, and that only wait(__WALL) can see: the app that we are to become must not notice it. */
static pid_t silent_fork(void)
{
	return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

/* Whether orphans come to us: then a filler that is orphaned would become the app's child all the same. */
static bool adopts_orphans(void)
{
	int subreaper = 0;
	return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper);
}

/* Keep nothing of the app's: a reader of its pipes would wait for us to close them. */
static void leave_descriptors(int *const *keep, size_t count)
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

static void leave_session(void)
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
		/* Not setrlimit: the C library's wants all threads to stop, and is large. */
		syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, NULL);
	}
}

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

static _Noreturn void filler_main(struct gate *gate, int report)
{
	struct fault fault = {0};
	struct image *image = (struct image *)gate->image;
	int lock = openat(gate->entry, "filler", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400);
	int *const keep[] = {&report, &image->fd, &gate->entry, &gate->tree.root, &lock};
	leave_session();
	leave_descriptors(keep, COUNT(keep));
	size_t size = sizeof *gate->shared + gate->image->index.head->nodes;
	gate->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report < 0)
		_exit(1); /* no descriptor left even for that: who waits at the other end sees it close */
	if (image->fd < 0 || gate->entry < 0 || gate->tree.root < 0 || lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0 || gate->shared == MAP_FAILED)
		FAILED(&fault, "cannot set up the filler: ", reason_text(errno));
	else
		skeleton_make(gate, &fault);
	if (fault.kind != FAULT_NONE) {
		answer(report, &fault);
		_exit(1);
	}
	/* The app may only go when there are two of us; filler_run says so when there are. */
	gate->report = report;
	filler_run(gate, false);
}

/* The filler's fault, or none when it says that the app may go. */
static int wait_for_go(int pipe, struct fault *fault)
{
	struct fault told;
	char *at = (void *)&told;
	for (size_t left = sizeof told; left;) {
		/* One that is stopped before the app runs would keep the app waiting for ever. */
		struct pollfd events = {.fd = pipe, .events = POLLIN};
		if (poll(&events, 1, PATIENCE_MS) == 0)
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
	gate->app = getpid();
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
