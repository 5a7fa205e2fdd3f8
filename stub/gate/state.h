/* What the processes and threads that fill one tree know. */
#ifndef TMPRUN_GATE_STATE_H
#define TMPRUN_GATE_STATE_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gate/mode.h"
#include "image/codec.h"
#include "image/image.h"
#include "image/index.h"
#include "tree/plan.h"
#include "tree/tree.h"

/* Break notices, with the descriptor in si_fd. */
#define GATE_SIGNAL (SIGRTMIN + 1)
/* For the main thread: a hand has something to say, or all is there. */
#define HANDS_SIGNAL SIGUSR1
/* For it, too: somebody is at the door. */
#define DOOR_SIGNAL (SIGRTMIN + 2)
/* For it, too: somebody wants to write to the image. */
#define IMAGE_SIGNAL (SIGRTMIN + 3)
/* For a guard: its filler's main thread has ended. */
#define GUARD_SIGNAL SIGUSR2

/* What is shared by the processes that fill one tree. Made in the app's process, used in the filler. */
struct gate {
	const struct image *image;
	struct tree tree;        /* the whole tree, sealed */
	enum fill_mode mode;
	int entry_fd;            /* the entry's directory */
	const char *key;
	const char *trace;       /* file to keep the start-up trace in, or "" */

	/* The filler's own. */
	struct plan plan;
	uint8_t *up_front;       /* a flag a node: a file that is not gated, but made in full before the app starts */
	uint32_t *held_node;     /* the node of a lease's descriptor */
	uint32_t held_size;      /* length of held_node: leases have lower numbers */
	uint32_t gated;          /* how many files are gated */
	bool whole_frames;       /* a slow frame is written whole, whoever asked for a part of it */
	bool image_held;         /* by a lease: a writer waits until we let go */
	int door;                /* socket at which starts that join hand over their ties */
	struct gate_shared *shared;
};

/* A gated file, as filler and guard see it. */
struct gated {
	_Atomic int held;         /* descriptor of its lease; -1: none */
	_Atomic pid_t taker;      /* who took that lease */
	_Atomic uint8_t complete; /* its content, mode and time are right */
};

/* Descriptors of both ends of a tie; `ours` is -1 when there is none. */
struct tie {
	_Atomic int ours;
	int theirs;
	pid_t app;
};
enum { TIES_MAX = 64 };

/* Survives the death of a filler: a mapping shared with the one that takes over. The two have one table of descriptors, so what is
 * said here of those is true for both. */
struct gate_shared {
	_Atomic uint64_t waiting_since; /* when the file was asked for that is waited for longest; 0: nobody waits */
	_Atomic uint32_t beat;   /* moves as long as the filler is well */
	_Atomic uint32_t done;   /* gated files with their content */
	_Atomic int report;      /* pipe to the app-to-be; -1 once it was told to go */
	atomic_bool said;        /* it may have been told */
	_Atomic uint64_t writing_since; /* when somebody began to wait who wants to write to the image; 0: nobody */
	atomic_bool turned_away; /* an open has failed, since it would not wait */
	atomic_bool leaving;     /* whoever inherits has only to leave as well */
	_Atomic int claim;       /* a descriptor by which the entry's lease may be locked; -1: none */
	_Atomic int spare;       /* an inode under lease that is to replace one that cannot be filled; -1: none */
	_Atomic pid_t spare_taker; /* who took that lease */
	_Atomic uint32_t refusing; /* the node whose place it is about to take, or has taken in part; NOBODY: none */
	_Atomic int old;         /* the descriptor of what was there */
	_Atomic pid_t old_taker;
	struct tie ties[TIES_MAX];
	struct gated nodes[];
};

enum { NOBODY = UINT32_MAX };

/* How far a frame is. A draft is decoded on a low priority and may be taken away by whoever needs it now. */
enum frame_state { FRAME_TODO, FRAME_DRAFT, FRAME_BUSY, FRAME_DONE };

/* How far a gated file is: nobody has opened it, somebody waits for it, it cannot be filled, it is there. */
enum asking { UNASKED, ASKED, REFUSED, ANSWERED };

struct filler;

enum { PLACES_MAX = 16 };

/* What one thread fills with. */
struct hand {
	struct filler *filler;
	struct codec_state codec;
	uint8_t *plain;
	uint32_t cached;             /* the frame in `plain`, or HOLE */
};

/* What a filler knows. Whoever takes over has a copy, and begins anew with it: see gate/heir.c. */
struct filler {
	struct gate *gate;
	const struct index *index;
	_Atomic uint8_t *frames;     /* enum frame_state each */

	_Atomic uint32_t *jobs;      /* a ring of segments that somebody waits for, in order; only the main thread adds */
	uint32_t job_room;
	_Atomic uint64_t job_count, next_job;
	int job_tickets;             /* an eventfd that holds as many as there are jobs not yet taken */
	_Atomic uint8_t *asked;      /* enum asking, a node each */
	atomic_int waiting;          /* nodes that are ASKED */
	uint32_t *opened;            /* nodes in the order in which they were asked for */
	uint64_t *opened_at;         /* when, at the earliest; now_us() */
	uint32_t opened_count;
	uint32_t served;             /* so many of the first of them are complete */
	uint64_t looked_at;          /* when the main thread last knew of everybody who waits */

	struct hand *hands;          /* the main thread's, then those of the threads */
	unsigned crew;               /* how many threads shall serve */
	bool has_threads;            /* else the main thread serves */
	atomic_uint serving;         /* how many do */
	atomic_uint next_hand;
	pthread_mutex_t turn;        /* whoever wants `writing` waits for it here, so that hands do not overtake the main thread */
	pthread_rwlock_t writing;    /* shared: a hand writes; exclusive: the main thread takes a file away from all of them */
	atomic_flag refused_busy;
	atomic_bool refused;         /* a file is REFUSED */
	char reason[160];            /* why the last one is */

	uint32_t *order;             /* frames for the background, hot ones first */
	uint32_t order_count, hot_frames;
	atomic_uint next_hot, next_cold;
	atomic_uint hot_end;         /* the hands that serve fill ahead of its time what comes before this in `order` */
	atomic_bool hurried;         /* which is all of it, now */
	int bell;                    /* an eventfd that wakes them when that is so */
	uint32_t *soon;              /* frames that are needed soon, in that order, as far as it was foreseen */
	_Atomic uint32_t soon_count, next_soon;
	_Atomic uint8_t *foreseen;   /* a flag a node: it will be opened soon, and its frames are among them, or hot */
	uint32_t places[PLACES_MAX]; /* directories in which libraries were found */
	unsigned places_count;
	uint64_t looking_left;       /* microseconds that may still be spent looking for libraries */
	atomic_flag soon_busy;       /* somebody adds to these */
	_Atomic uint8_t *written;    /* a flag a segment */
	uint32_t *hot;
	uint32_t hot_count;
	_Atomic uint64_t asked_at;   /* when an open last waited, or the app began: now_us */
	atomic_bool stopped;         /* the background has met a fault: it does no more, and files stay gated */

	uint64_t look_every;         /* microseconds until it is asked again whether anybody uses the tree */
	uint64_t patience;           /* microseconds that the kernel lets an opener wait */
	uint64_t deadline;           /* what was set last */
	pid_t guard;
};

static inline int held(const struct gate *gate, uint32_t number)
{
	return atomic_load(&gate->shared->nodes[number].held);
}

static inline bool is_complete(const struct gate *gate, uint32_t number)
{
	return atomic_load(&gate->shared->nodes[number].complete);
}

#endif
