/* Lease gating: the app starts before its files have content (docs/how-it-works.md).
 *
 * Every gated file exists with its name, size, mode and time, is empty of data, and is held under a write lease by the
 * *filler*, a process of ours. Whoever opens such a file waits in the kernel, and the kernel tells the filler which one it
 * is; the filler writes its content and gives up the lease, and the open goes on. fcntl(2), "Leases". */
#ifndef TMPRUN_GATE_GATE_H
#define TMPRUN_GATE_GATE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fault.h"
#include "image/image.h"
#include "image/index.h"
#include "tree/plan.h"
#include "tree/tree.h"

enum fill_mode { FILL_AUTO, FILL_EAGER, FILL_BACKGROUND, FILL_DEMAND };

/* "eager", "background", "demand", "auto" or NULL; -1 for anything else. */
int gate_mode(const char *name);

/* What is shared by the processes that fill one tree. Made in the app's process, used in the filler. */
struct gate {
	const struct image *image;
	struct tree tree;        /* the whole tree, sealed */
	enum fill_mode mode;
	int entry;               /* the entry's directory */
	const char *key;
	pid_t app;
	const char *trace;       /* file to keep the start-up trace in, or "" */

	/* The filler's own. */
	struct plan plan;
	uint8_t *now;            /* a flag a node: a file that is not gated, but made in full before the app starts */
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

/* The mode to use for this image here: `asked`, or the best; FILL_EAGER wherever gating cannot work, with the reason in the
 * debug log. `root` is a descriptor in the store. */
enum fill_mode gate_choose(enum fill_mode asked, const struct index *index, int root);

/* Begin to fill `gate->entry`, whose directory `tree` is empty. Returns when the app may start, the rest being done by
 * another process; -1 when it cannot be done this way and the entry must be made anew. */
int gate_start(struct gate *gate, struct fault *fault);

/* Whether a filler is at work in the entry. */
bool gate_alive(int entry);

/* How long the kernel keeps an opener waiting, in seconds: then it lets it through, whatever is in the file. */
long gate_break_time(void);

/* Break notices, with the descriptor in si_fd. */
#define GATE_SIGNAL (SIGRTMIN + 1)

/* Build the tree up to the point where the app may start: everything there, gated or full. In the filler. */
int skeleton_make(struct gate *gate, struct fault *fault);

/* Serve opens and fill the rest until there is nothing left to do. With `inherited`, another filler died before. Does not
 * return. */
_Noreturn void filler_run(struct gate *gate, bool inherited);

#endif
