#define _GNU_SOURCE
#include "store/tie.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "store/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_WITHIN_MS = 10000 }; /* a stopped filler is replaced in less */

/* Both ends in one message to the door in the entry. */
static int hand_over(int entry_fd, const int ends[2])
{
	struct sockaddr_un door = {.sun_family = AF_UNIX};
	char number[24], control[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct timeval limit = {.tv_sec = ANSWER_WITHIN_MS / 1000};
	struct iovec text = {.iov_base = "t", .iov_len = 1};
	struct msghdr message = {.msg_name = &door, .msg_namelen = sizeof door, .msg_iov = &text, .msg_iovlen = 1};
	CLEANUP(close_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	join(door.sun_path, sizeof door.sun_path, "/proc/self/fd/", decimal(number, (uint64_t)entry_fd), "/" ENTRY_DOOR, (char *)NULL);
	message.msg_control = control;
	message.msg_controllen = sizeof control;
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(rights), ends, 2 * sizeof(int));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
		return -1;
	return sendmsg(fd, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* Its first byte, or 0. */
static char answer_of(int end)
{
	struct pollfd events = {.fd = end, .events = POLLIN};
	char answer = 0;
	int got;
	while ((got = poll(&events, 1, ANSWER_WITHIN_MS)) < 0 && errno == EINTR)
		continue;
	return got > 0 && read(end, &answer, 1) == 1 ? answer : 0;
}

/* The signal has no addressee yet: what is to end the app must not end who only looks. */
static int make_pair(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	if (fcntl(ends[0], F_SETSIG, SIGKILL) == 0 && fcntl(ends[0], F_SETFL, O_RDWR | O_ASYNC) == 0)
		return 0;
	close(ends[0]);
	close(ends[1]);
	return -1;
}

bool tie_possible(void)
{
	int ends[2];
	if (make_pair(ends) < 0)
		return false;
	close(ends[0]);
	close(ends[1]);
	return true;
}

int tie_make(int entry_fd, int *tie)
{
	int ends[2];
	*tie = -1;
	if (make_pair(ends) < 0)
		return -1;
	CLEANUP(close_fd) int ours = ends[0];
	CLEANUP(close_fd) int theirs = ends[1];
	if (hand_over(entry_fd, ends) < 0)
		return -1;
	close_fd(&theirs); /* the helpers' is the only one, or its end would not be seen */
	char answer = answer_of(ours);
	if (answer != TIE_KNOTTED)
		return answer == TIE_FULL ? 0 : -1;
	*tie = ours;
	ours = -1;
	return 0;
}

/* First the addressee, then the look: whatever happens between the two is seen by one of them. */
int tie_pull(int tie, struct fault *fault)
{
	struct pollfd events = {.fd = tie};
	if (fcntl(tie, F_SETOWN, getpid()) < 0)
		return FAILED(fault, "cannot tie the app to what fills its files: ", reason_text(errno));
	if (poll(&events, 1, 0) == 0 || !(fcntl(tie, F_GETFL) & O_ASYNC))
		return 0; /* they live, or have left since all is there */
	return FAILED(fault, "what fills its files was killed; start it again");
}
