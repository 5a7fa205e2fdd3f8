/*
 * Starts a program so many times at once, and waits for all.
 *
 *   together COUNT PROGRAM ARGS...
 *
 * Each start's output is read by us, so that no two of them mix, and printed when all have ended, one behind the other.
 * Ends with 99 when one did not end with 0.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 99, MOST = 64 };

static int fail(const char *what)
{
	perror(what);
	return FAILED;
}

static pid_t start(char **argv, int output)
{
	pid_t pid = vfork();
	if (pid == 0) {
		if (dup2(output, 1) == 1)
			execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	int count = argc < 3 ? 0 : atoi(argv[1]), failed = 0, output[MOST];
	if (count < 1 || count > MOST)
		return FAILED;
	for (int i = 0; i < count; i++)
		if ((output[i] = memfd_create("output", MFD_CLOEXEC)) < 0)
			return fail("memfd_create");
	pid_t started[MOST];
	for (int i = 0; i < count; i++)
		if ((started[i] = start(argv + 2, output[i])) < 0)
			return fail(argv[2]);
	for (int i = 0; i < count; i++) {
		int status;
		failed |= waitpid(started[i], &status, 0) < 0 || status;
	}
	for (int i = 0; i < count; i++) {
		char data[1 << 16];
		ssize_t got;
		lseek(output[i], 0, SEEK_SET);
		while ((got = read(output[i], data, sizeof data)) > 0)
			if (write(1, data, (size_t)got) != got)
				return fail("stdout");
	}
	return failed ? FAILED : 0;
}
