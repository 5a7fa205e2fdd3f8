#define _GNU_SOURCE
#include "foreign/converted.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "foreign/python.h"
#include "start/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: its stdin is nobody's, since what is in ours is the app's; its stdout is the pipe. */
static void become_converter(const struct request *request, int image, int pipe)
{
	char number[24];
	struct fault fault = {0};
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int inherited = fcntl(image, F_DUPFD, STDERR_FILENO + 1);
	if (inherited < 0 || dup2(pipe, STDOUT_FILENO) < 0 || (nothing >= 0 && dup2(nothing, STDIN_FILENO) < 0)) {
		FAILED(&fault, "no descriptor left to hand the image over: ", reason_text(errno));
	} else {
		const char *const words[] = {"@convert",
					     decimal(number, (uint64_t)inherited),
					     request->verb,
					     request->program ? request->program : "",
					     request->force ? "force" : "",
					     request->path,
					     NULL};
		python_become(words, &fault);
	}
	_exit(request_report(request, &fault));
}

/* The path that comes out of the pipe: what there is, up to its end. */
static void read_path(int pipe, char path[PATH_MAX])
{
	size_t used = 0;
	ssize_t got;
	while ((got = read(pipe, path + used, PATH_MAX - 1 - used)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		used += got > 0 ? (size_t)got : 0;
	}
	path[used] = '\0';
}

/* End as the converter did, which has said why. */
static void end_like(int status)
{
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) == 128 + SIGINT ? SIGINT : 0;
	if (number) {
		signal(number, SIG_DFL);
		raise(number);
	}
	exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILED);
}

/* An interrupt from the terminal reaches the converter, too: it clears away what it made, and we wait for that. */
static int wait_for(pid_t child)
{
	int status = 0;
	struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
	sigaction(SIGINT, &ignore, &interrupt);
	sigaction(SIGQUIT, &ignore, &quit);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGQUIT, &quit, NULL);
	return status;
}

/* What is wrong with it for us, and who could do something about it. */
static int without_python(struct fault *fault, const struct fault *reason)
{
	size_t used = strcspn(fault->text, ";");
	join(fault->text + used, sizeof fault->text - used, "; for archives, packages and other kinds of images ", reason->text,
	     (char *)NULL);
	return -1;
}

int converted_make(const struct request *request, const struct image *image, char path[PATH_MAX], struct fault *fault)
{
	int ends[2];
	struct fault reason = {0};
	if (!python_there(&reason))
		return without_python(fault, &reason);
	*fault = (struct fault){0};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return FAILED(fault, "cannot have it converted: ", reason_text(errno));
	CLEANUP(close_fd) int reading = ends[0];
	pid_t child = fork();
	if (child == 0)
		become_converter(request, image->fd, ends[1]);
	close(ends[1]);
	if (child < 0)
		return FAILED(fault, "cannot have it converted: ", reason_text(errno));
	read_path(reading, path);
	int status = wait_for(child);
	if (status != 0 || path[0] != '/')
		end_like(status);
	return 0;
}

/* From the beginning: a tree of the bundle may be there, which is found by the bundle's own identity. */
static void start_bundle(const struct request *request, const char *path)
{
	struct request again = *request;
	again.path = path;
	again.image_fd = -1;
	/* It was taken out of the arguments, and is looked for in them again. */
	again.arguments -= request->flag_taken;
	again.count += request->flag_taken;
	exit(start(&again));
}

int converted_take(const struct request *request, struct image *image, const char *path, struct fault *fault)
{
	image_close(image);
	if (strcmp(request->verb, "run") == 0)
		start_bundle(request, path);
	if (image_open(image, path, fault) < 0)
		return -1;
	int bundle = image_load_bundle(image, fault);
	return bundle == 0 ? BAD_IMAGE(fault, "was converted into what is no bundle") : bundle < 0 ? -1 : 0;
}

int converted_start(struct request *request)
{
	char path[PATH_MAX];
	struct fault fault = {0};
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	if (image_open(&image, request->path, &fault) == 0 && converted_make(request, &image, path, &fault) == 0)
		converted_take(request, &image, path, &fault);
	return request_report(request, &fault);
}
