/* What the processes and threads that fill one tree know. */
#ifndef TMPRUN_GATE_STATE_H
#define TMPRUN_GATE_STATE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "gate/mode.h"
#include "image/image.h"
#include "image/index.h"
#include "tree/plan.h"
#include "tree/tree.h"

/* Break notices, with the descriptor in si_fd. */
#define GATE_SIGNAL (SIGRTMIN + 1)

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
	int *held;               /* descriptor of a gated file's lease, a node each; -1: none */
	uint32_t *held_node;     /* the node of a descriptor */
	uint32_t held_size;      /* length of held_node */
	uint32_t gated;          /* how many files are gated */
	struct gate_shared *shared;
	int report;              /* pipe to the app-to-be; -1 once it may go */
};

/* Survives the death of a filler: a mapping shared with the one that takes over. */
struct gate_shared {
	_Atomic uint64_t waiting_since; /* when the file was asked for that is waited for longest; 0: nobody waits */
	_Atomic uint32_t beat;   /* moves as long as the filler is well */
	_Atomic uint32_t done;   /* gated files with their content */
	uint8_t complete[];      /* a flag a node: its content, mode and time are right */
};

/* How far a frame is. A draft is decoded on a low priority and may be taken away by whoever needs it now. */
enum frame_state { FRAME_TODO, FRAME_DRAFT, FRAME_BUSY, FRAME_DONE };

/* How far a gated file is: nobody has opened it, somebody waits for it, it is there. */
enum asking { UNASKED, ASKED, ANSWERED };

struct filler {
	struct gate *gate;
	const struct index *index;
	_Atomic uint8_t *frames;     /* enum frame_state each */

	uint32_t *jobs;              /* segments that somebody waits for, in order; only the main thread adds */
	uint32_t job_count;
	atomic_uint next_job;
	atomic_uint hands;           /* threads that serve */
	int job_tickets;             /* an eventfd that holds as many as there are jobs not yet taken */
	_Atomic uint8_t *asked;      /* enum asking, a node each */
	atomic_int waiting;          /* nodes that are ASKED */
	uint32_t *opened;            /* nodes in the order in which they were asked for */
	uint64_t *opened_at;         /* when, at the earliest; now_us() */
	uint32_t opened_count;
	uint32_t served;             /* so many of the first of them are complete */
	uint64_t looked_at;          /* when the main thread last knew of everybody who waits */

	uint32_t *order;             /* frames for the background, hot ones first */
	uint32_t order_count, hot_frames;
	atomic_uint next_hot, next_cold;
	uint8_t *written;            /* a flag a segment, for frames that could be written in part only */
	uint32_t *hot;
	uint32_t hot_count;
	_Atomic uint64_t asked_at;   /* when an open last waited, or the app began: now_us */
	atomic_bool stopped;         /* the background has met a fault: it does no more, and files stay gated */

	uint64_t look_every;         /* microseconds until it is asked again whether anybody uses the tree */
	pid_t guard;
	int guard_pipe;
};

#endif
