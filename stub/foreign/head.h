/* The ELF program in front of an image: for which machine it is, and where the payload behind it begins.
 *
 * The AppImage runtimes append the payload to their own ELF file, so it begins where that file ends: behind the table of section
 * headers or the last section, whichever is later. We compute the same and look at that place only; the payload's magic also occurs
 * inside static runtimes, so nobody can search for it. The bytes `AI` at offset 8, which mark an AppImage, are not asked for: people
 * zero them because they break the rules of binfmt_misc.
 */
#ifndef TMPRUN_FOREIGN_HEAD_H
#define TMPRUN_FOREIGN_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "squashfs/source.h"

struct head {
	char machine[40];  /* as `uname -m` names it, or "ELF machine N"; empty when there is no program */
	uint64_t payload;  /* file offset where the squashfs begins */
	bool other;        /* it is none of ours to read, and may be an archive, a package, or another kind of image */
};

/* Find the payload: 0; -1 when there is none, or none that we read. */
int head_read(struct head *head, struct source *source, struct fault *fault);

/* Whether the file is ISO 9660, as type-1 AppImages are, by a volume descriptor's magic: a file system whose unused start holds an ELF
 * program. */
bool is_iso(int fd);

/* Whether the file is a squashfs behind no program: for any machine, as far as that can be told before its files are looked at. */
bool is_bare_squashfs(int fd);

/* Refuse an image for another machine, unless this one runs its programs, too, or has an emulator for them. */
int head_check_machine(const struct head *head, struct fault *fault);

#endif
