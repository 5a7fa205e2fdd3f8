#define _GNU_SOURCE
#include "gate/ties.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "store/layout.h"
#include "store/tie.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int ties_open(struct gate *gate, struct fault *fault)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	char number[24];
	int yes = 1, door = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	gate->door = door;
	join(name.sun_path, sizeof name.sun_path, "/proc/self/fd/", decimal(number, (uint64_t)gate->entry_fd), "/" ENTRY_DOOR,
	     (char *)NULL);
	if (door < 0 || bind(door, (const void *)&name, sizeof name) < 0 ||
	    setsockopt(door, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) < 0 || fcntl(door, F_SETSIG, DOOR_SIGNAL) < 0 ||
	    fcntl(door, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC) < 0)
		return BAD_STORE(fault, "no door for other starts: ", reason_text(errno));
	ties_own(gate);
	return 0;
}

void ties_own(const struct gate *gate)
{
	fcntl(gate->door, F_SETOWN, getpid());
}

/* What came with a message: the app's end, the helpers', and who sent it, 0 if he cannot be seen from here. */
struct offer {
	int theirs, ours;
	pid_t app;
};

/* Whatever is no pair is closed at once. */
static void read_offer(const struct cmsghdr *header, struct offer *offer)
{
	if (header->cmsg_level != SOL_SOCKET)
		return;
	if (header->cmsg_type == SCM_CREDENTIALS) {
		struct ucred sender;
		memcpy(&sender, CMSG_DATA(header), sizeof sender);
		offer->app = sender.pid;
	}
	if (header->cmsg_type != SCM_RIGHTS)
		return;
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < count; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
		int *place = i == 0 ? &offer->theirs : &offer->ours;
		if (i < 2 && *place < 0)
			*place = fd;
		else
			close(fd);
	}
}

/* musl's macro compares numbers of different signs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
static struct cmsghdr *next_header(struct msghdr *message, struct cmsghdr *header)
{
	return CMSG_NXTHDR(message, header);
}
#pragma GCC diagnostic pop

/* False when nothing more waits at the door. */
static bool receive(int door, struct offer *offer)
{
	char text, control[CMSG_SPACE(4 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	struct iovec room = {.iov_base = &text, .iov_len = 1};
	struct msghdr message = {.msg_iov = &room, .msg_iovlen = 1};
	message.msg_control = control;
	message.msg_controllen = sizeof control;
	*offer = (struct offer){-1, -1, 0};
	ssize_t got = recvmsg(door, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got < 0)
		return errno == EINTR;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = next_header(&message, header))
		read_offer(header, offer);
	return true;
}

/* An app that has ended does not say so: its end of the tie is ours, too. */
static void drop_dead(struct gate_shared *shared)
{
	for (unsigned i = 0; i < TIES_MAX; i++) {
		struct tie *tie = &shared->ties[i];
		int ours = atomic_load(&tie->ours);
		if (ours < 0 || tie->app <= 0 || kill(tie->app, 0) == 0 || errno != ESRCH)
			continue;
		atomic_store(&tie->ours, -1);
		close(ours);
		close(tie->theirs);
	}
}

static struct tie *free_place(struct gate_shared *shared)
{
	for (unsigned i = 0; i < TIES_MAX; i++)
		if (atomic_load(&shared->ties[i].ours) < 0)
			return &shared->ties[i];
	return NULL;
}

/* Above all leases, since what has the highest number is closed first when we die. The end to answer at, or -1. */
static int knot(struct gate *gate, const struct offer *offer)
{
	struct tie *tie = free_place(gate->shared);
	if (!tie) {
		drop_dead(gate->shared);
		tie = free_place(gate->shared);
	}
	CLEANUP(close_fd) int theirs = tie ? fcntl(offer->theirs, F_DUPFD_CLOEXEC, (int)gate->held_size) : -1;
	int ours = theirs < 0 ? -1 : fcntl(offer->ours, F_DUPFD_CLOEXEC, (int)gate->held_size);
	if (ours < 0)
		return -1;
	tie->app = offer->app;
	tie->theirs = theirs;
	atomic_store(&tie->ours, ours);
	theirs = -1;
	return ours;
}

/* The low numbers are closed before there is an answer. It is the only one: another byte would be an event, and end the app. */
static void answer(struct gate *gate, struct offer *offer)
{
	CLEANUP(close_fd) int theirs = offer->theirs;
	CLEANUP(close_fd) int ours = offer->ours;
	if (theirs < 0 || ours < 0)
		return;
	int knotted = knot(gate, offer);
	char said = knotted < 0 ? TIE_FULL : TIE_KNOTTED;
	close_fd(&theirs);
	if (knotted >= 0)
		close_fd(&ours);
	if (send(knotted < 0 ? ours : knotted, &said, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		debug_log("a start that joined is gone", (char *)NULL);
}

void ties_take(struct gate *gate)
{
	struct offer offer;
	while (receive(gate->door, &offer))
		answer(gate, &offer);
}

void ties_cut(const struct gate *gate)
{
	for (unsigned i = 0; i < TIES_MAX; i++)
		if (atomic_load(&gate->shared->ties[i].ours) >= 0)
			fcntl(gate->shared->ties[i].theirs, F_SETFL, O_RDWR);
}
