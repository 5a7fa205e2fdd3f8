#define _GNU_SOURCE
#include "gate/mode.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/text.h"
#include "store/tie.h"

#include <fcntl.h>
#include <string.h>

enum {
	SMALL = 4 << 20,    /* so much for each processor is unpacked in 7 ms: about what a filler and its waiting app would take */
	FEW_FILES = 32,
	BREAK_TIME_MIN = 8, /* seconds; a file must be full well before the kernel lets its opener through */
};

int gate_mode(const char *name)
{
	static const char *const names[] = {
		[FILL_AUTO] = "auto",
		[FILL_EAGER] = "eager",
		[FILL_BACKGROUND] = "background",
		[FILL_DEMAND] = "demand",
	};
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

bool gate_is_small(const struct index_head *head)
{
	return head->content_size / processors() < SMALL || head->nodes < FEW_FILES;
}

static enum fill_mode eager_because(const char *reason)
{
	debug_log("unpacking everything first: ", reason, (char *)NULL);
	return FILL_EAGER;
}

enum fill_mode gate_choose(enum fill_mode asked, const struct index *index, int root, bool turned_away)
{
	if (asked == FILL_EAGER)
		return FILL_EAGER;
	uint64_t content = index->head->content_size;
	if (asked == FILL_AUTO && (turned_away || index->head->flags & INDEX_AT_ONCE))
		return eager_because("it opens files without waiting");
	if (asked == FILL_AUTO && gate_is_small(index->head))
		return eager_because("it is small");
	if (number_in("/proc/sys/fs/leases-enable") != 1)
		return eager_because("this kernel gives no leases, or has no /proc to ask");
	if (gate_break_time() < BREAK_TIME_MIN)
		return eager_because("fs.lease-break-time is too short");
	if (!grants_leases(root))
		return eager_because("the store's file system refuses leases");
	if (!tie_possible())
		return eager_because("no sockets can be had here");
	if (asked != FILL_AUTO)
		return asked;
	/* An app seldom touches more than half of itself: where its whole would take a third of the memory, keep to that half. */
	uint64_t memory = memory_available();
	return memory != UINT64_MAX && content > memory / 3 ? FILL_DEMAND : FILL_BACKGROUND;
}
