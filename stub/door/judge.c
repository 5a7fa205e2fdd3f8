#define _GNU_SOURCE
#include "door/judge.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "foreign/machines.h"
#include "image/walk.h"
#include "slices/slices.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* As much of a script's first line as the kernel reads (BINPRM_BUF_SIZE, linux/binfmts.h). */
enum { FIRST_LINE = 256 };

#define MAKER " is for its maker to mend; or: `tmprun extract`, mend it, `tmprun pack`"

static int missing(const char *asker, const char *what, const char *path, const char *remedy, struct fault *fault)
{
	return fault_set(fault, FAULT_IMAGE, EXIT_FAILED, asker, " needs the ", what, " ", path, ", which ",
			 access(path, F_OK) < 0 ? "this machine lacks" : "cannot be executed", "; ", remedy, (char *)NULL);
}

static int judge_machine(const Elf64_Ehdr *head, const char *asker, struct fault *fault)
{
	struct utsname here;
	uname(&here);
	const char *name = machine_name((const uint8_t *)head);
	if (name && machine_runs(name, here.machine))
		return 0;
	return BAD_IMAGE(fault, asker, " is a program for ", name ? name : "another machine", ", and this machine is ", here.machine,
			 "; get the release for ", here.machine);
}

/* The path in the program's PT_INTERP, or "" for one without; of programs of 64 bits, and of none whose tables lie outside. */
static void read_loader(int fd, const Elf64_Ehdr *head, char out[PATH_MAX])
{
	Elf64_Phdr header;
	out[0] = '\0';
	if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_phentsize != sizeof header || head->e_phoff > INT64_MAX / 2)
		return;
	for (unsigned i = 0; i < head->e_phnum && read_at(fd, &header, sizeof header, head->e_phoff + i * sizeof header) == 0; i++)
		if (header.p_type == PT_INTERP && header.p_filesz < PATH_MAX && header.p_offset < INT64_MAX / 2) {
			bool whole = read_at(fd, out, header.p_filesz, header.p_offset) == 0;
			out[whole ? header.p_filesz : 0] = '\0';
			return;
		}
}

static int judge_elf(int fd, const Elf64_Ehdr *head, const char *asker, struct fault *fault)
{
	char loader[PATH_MAX];
	if (judge_machine(head, asker, fault) < 0)
		return -1;
	read_loader(fd, head, loader);
	if (!*loader || access(loader, X_OK) == 0)
		return 0;
	const char *name = strrchr(loader, '/');
	bool glibc = name && strncmp(name, "/ld-linux-", strlen("/ld-linux-")) == 0;
	return missing(asker, "loader", loader, glibc ? SLICES_REMEDY : "use a build for this C library", fault);
}

/* Whether a program of that name lies in a directory that `path` names. */
static bool lies_on(const char *path, const char *name)
{
	char out[PATH_MAX];
	for (; *path; path += strcspn(path, ":"), path += *path == ':') {
		size_t length = strcspn(path, ":");
		if (length + strlen(name) + 2 > sizeof out)
			continue;
		memcpy(out, path, length);
		out[length] = '/';
		strcpy(out + length + 1, name);
		if (access(out, X_OK) == 0)
			return true;
	}
	return false;
}

/* `env` looks for another program: that is the one which counts. With options of its own we do not judge what it does. */
static int judge_env(const struct environment *environment, char *words, struct fault *fault)
{
	const char *path = environment_text(environment, PATH);
	char *name = strtok(words, " \t");
	if (name && strcmp(name, "-S") == 0)
		name = strtok(NULL, " \t");
	while (name && strchr(name, '='))
		name = strtok(NULL, " \t");
	if (!name || *name == '-' || strchr(name, '/') || !path || lies_on(path, name))
		return 0;
	return fault_set(fault, FAULT_IMAGE, EXIT_FAILED, "AppRun needs ", name, ", which is not on PATH; install it", (char *)NULL);
}

/* Without an environment what is looked at is an interpreter, and what that asks for is not. */
static int judge_file(const char *path, const char *asker, const struct environment *environment, struct fault *fault);

/* `line` is the first line behind "#!". */
static int judge_script(char *line, const char *asker, const struct environment *environment, struct fault *fault)
{
	char *interpreter = line + strspn(line, " \t");
	char *rest = interpreter + strcspn(interpreter, " \t");
	if (*rest)
		*rest++ = '\0';
	if (strchr(*rest ? rest : interpreter, '\r'))
		return BAD_IMAGE(fault, asker,
				 " has the line ends of Windows, and asks for a program whose name ends with one; that" MAKER);
	if (!*interpreter)
		return BAD_IMAGE(fault, asker, " names no interpreter behind #!; that" MAKER);
	if (access(interpreter, X_OK) < 0)
		return missing(asker, "interpreter", interpreter,
			       *interpreter == '/' ? "install it" : "a relative one is looked for in the working directory", fault);
	const char *name = strrchr(interpreter, '/');
	if (environment && name && strcmp(name, "/env") == 0)
		return judge_env(environment, rest, fault);
	return environment ? judge_file(interpreter, interpreter, NULL, fault) : 0;
}

static int judge_content(int fd, const char *asker, const struct environment *environment, struct fault *fault)
{
	union {
		Elf64_Ehdr elf;
		char text[FIRST_LINE + 1];
	} head = {.text = ""};
	ssize_t got = pread(fd, head.text, FIRST_LINE, 0);
	if (got < 0)
		return 0; /* not to be read is no obstacle to being executed */
	if (got == 0)
		return BAD_IMAGE(fault, asker, " is empty; that" MAKER);
	if (memcmp(head.text, ELFMAG, SELFMAG) == 0)
		return judge_elf(fd, &head.elf, asker, fault);
	if (memcmp(head.text, "\xef\xbb\xbf", 3) == 0)
		return BAD_IMAGE(fault, asker, " begins with a byte order mark, which hides its first line from the kernel; that" MAKER);
	if (memcmp(head.text, "#!", 2) != 0)
		return BAD_IMAGE(fault, asker,
				 " is neither a program nor a script whose first line names an interpreter (#!/bin/sh); that" MAKER);
	head.text[strcspn(head.text, "\n")] = '\0';
	return judge_script(head.text + 2, asker, environment, fault);
}

static int judge_file(const char *path, const char *asker, const struct environment *environment, struct fault *fault)
{
	struct stat stat_now;
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (stat(path, &stat_now) < 0)
		return BAD_IMAGE(fault, asker, " cannot be reached: ", reason_text(errno));
	if (!S_ISREG(stat_now.st_mode))
		return BAD_IMAGE(fault, asker, " is ", S_ISDIR(stat_now.st_mode) ? "a directory" : "no regular file", "; that" MAKER);
	if (!(stat_now.st_mode & 0111))
		return BAD_IMAGE(fault, asker, " has no permission to be executed (x bit); that" MAKER);
	return fd < 0 ? 0 : judge_content(fd, asker, environment, fault);
}

/* AppRun is a link, and nothing is where it leads to: say what the last of its links names. */
static int judge_link(const char *tree, struct fault *fault)
{
	char at[PATH_MAX], target[PATH_MAX], next[2 * PATH_MAX];
	struct stat there;
	join(at, sizeof at, tree, "/AppRun", (char *)NULL);
	for (unsigned i = 0; i < MAX_LINKS; i++) {
		ssize_t length = readlink(at, target, sizeof target - 1);
		if (length < 0)
			return BAD_IMAGE(fault, "AppRun cannot be reached: ", reason_text(errno));
		target[length] = '\0';
		at[strrchr(at, '/') - at] = '\0';
		if (target[0] == '/')
			join(next, sizeof next, target, (char *)NULL);
		else
			join(next, sizeof next, at, "/", target, (char *)NULL);
		if (lstat(next, &there) < 0 && errno != ELOOP)
			return fault_set(fault, FAULT_IMAGE, EXIT_FAILED, "AppRun is a symlink to ", target, ", which ",
					 target[0] == '/' ? "this machine lacks (a path of where it was built?)"
							  : "the image does not have",
					 "; that" MAKER, (char *)NULL);
		if (!join(at, sizeof at, next, (char *)NULL))
			break;
	}
	return BAD_IMAGE(fault, "AppRun is a symlink that leads to itself; that" MAKER);
}

int judge_apprun(const struct environment *environment, const char *tree, struct fault *fault)
{
	char path[PATH_MAX];
	struct stat there;
	if (!join(path, sizeof path, tree, "/AppRun", (char *)NULL))
		return 0;
	if (lstat(path, &there) < 0)
		return BAD_IMAGE(fault, "the image has no AppRun, which is what would be started");
	if (S_ISLNK(there.st_mode) && stat(path, &there) < 0)
		return judge_link(tree, fault);
	return judge_file(path, "AppRun", environment, fault);
}
