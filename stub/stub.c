/* The program at the head of every bundle: it starts the bundle that it is part of. */
#define _GNU_SOURCE
#include "base/environment.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "image/image.h"
#include "start/request.h"
#include "start/start.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Filled in by tmprun pack (update information) and by signing tools: AppImage specification, "Embedded ... " sections. */
__attribute__((section(".upd_info"), used, retain)) const char section_update_information[1024] = {0};
__attribute__((section(".sha256_sig"), used, retain)) const char section_signature[1024] = {0};
__attribute__((section(".sig_key"), used, retain)) const char section_signing_key[8192] = {0};

static int no_foreign(const struct request *request, struct image *image, struct fault *fault)
{
	(void)image;
	if (request->self)
		return BAD_IMAGE(fault, "damaged bundle (it has no footer: cut short, or changed); download it again");
	return BAD_IMAGE(fault, "is no tmprun bundle; start it with tmprun");
}

static int own_section(const struct request *request, const char *flag, struct fault *fault)
{
	if (!request->self)
		return FAILED(fault, "only tmprun can tell that of another file");
	const char *text = strcmp(flag, "signature") == 0 ? section_signature : section_update_information;
	/* Through volatile: the section was filled in after the compiler had seen it empty. */
	const volatile char *live = text;
	char line[1025];
	size_t length = 0;
	while (length < 1024 && live[length]) {
		line[length] = live[length];
		length++;
	}
	line[length++] = '\n';
	return write(STDOUT_FILENO, line, length) == (ssize_t)length ? 0 : FAILED(fault, "cannot print: ", reason_text(errno));
}

int main(int argc, char **argv)
{
	static char self[PATH_MAX];
	struct request request = {.typed = argc > 0 ? argv[0] : "", .path = "/proc/self/exe", .index_fd = -1, .self = true,
				  .arguments = argc > 0 ? argv + 1 : argv, .count = argc > 0 ? argc - 1 : 0,
				  .foreign = no_foreign, .section = own_section};
	environment_read(&request.environment);
	const char *target = environment_text(&request.environment, TARGET_APPIMAGE);
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (target) {
		request.path = target;
		request.self = false;
		absolute_path(target, request.shown, sizeof request.shown);
	} else if (length > 0) {
		join(request.shown, sizeof request.shown, self, (char *)NULL);
	} else {
		/* No /proc: the kernel still tells which file it started. */
		const char *started = (const char *)getauxval(AT_EXECFN);
		request.path = started ? started : request.typed;
		absolute_path(request.path, request.shown, sizeof request.shown);
	}
	return start(&request);
}
