#define _GNU_SOURCE
#include "gate/image_lease.h"

#include "base/system.h"
#include "gate/give_up.h"
#include "gate/hands.h"
#include "image/identity.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

void image_lease_take(struct gate *gate)
{
	int fd = gate->image->fd;
	gate->image_held = fcntl(fd, F_SETSIG, IMAGE_SIGNAL) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
}

void image_lease_end(struct gate *gate)
{
	if (gate->image_held)
		fcntl(gate->image->fd, F_SETLEASE, F_UNLCK);
	gate->image_held = false;
}

void image_lease_own(const struct filler *filler)
{
	if (filler->gate->image_held)
		fcntl(filler->gate->image->fd, F_SETOWN, getpid());
}

/* A writer who waits has the file open already, as the kernel counts, and so long there is no new lease. One who has given up, or did
 * not wait (touch), leaves a lease that would end by itself. */
static bool has_gone(struct gate *gate)
{
	struct stat before;
	if (fcntl(gate->image->fd, F_SETLEASE, F_RDLCK) < 0)
		return false;
	bool known = fstat(gate->image->fd, &before) == 0;
	image_lease_end(gate);
	image_lease_take(gate);
	/* Between the two somebody may have written. Without digests a lease would vouch for that. */
	if (!image_is_hashed(gate->image) && (!known || !identity_stands(gate->image->fd, &before)))
		image_lease_end(gate);
	return true;
}

/* The kernel lets a writer through who has waited too long, and we may have been stopped meanwhile. */
static bool may_have_lost_it(const struct filler *filler)
{
	return now_us() - filler->looked_at > filler->patience / 2;
}

void image_lease_mind(struct filler *filler)
{
	struct gate *gate = filler->gate;
	_Atomic uint64_t *since = &gate->shared->writing_since;
	if (!gate->image_held || fcntl(gate->image->fd, F_GETLEASE) == F_RDLCK)
		return;
	if (!image_is_hashed(gate->image) && may_have_lost_it(filler)) {
		image_lease_end(gate);
		return;
	}
	if (has_gone(gate)) {
		atomic_store(since, 0);
		return;
	}
	if (!atomic_load(since))
		atomic_store(since, now_us());
	hands_hurry(filler);
	if (atomic_load(&filler->stopped) || now_us() - atomic_load(since) > filler->patience / 4 * 3)
		give_up(filler, "its image is being overwritten, and what is missing of it cannot be had before");
}
