/* The program at the head of every bundle: it starts the bundle that it is part of. */
#define _GNU_SOURCE
#include "base/environment.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "image/image.h"
#include "start/request.h"
#include "start/start.h"

#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Filled in by tmprun pack (update information) and by signing tools: AppImage specification, "Embedded ... " sections. */
__attribute__((section(".upd_info"), used, retain)) const char section_update_information[1024] = {0};
__attribute__((section(".sha256_sig"), used, retain)) const char section_signature[1024] = {0};
__attribute__((section(".sig_key"), used, retain)) const char section_signing_key[8192] = {0};

/* `volatile`: they were filled in after the compiler had seen them empty. */
static const struct {
	const char *name;
	const volatile char *text;
	size_t size;
} sections[] = {
	{"updateinformation", section_update_information, sizeof section_update_information},
	{"signature", section_signature, sizeof section_signature},
};

static int no_footer(struct fault *fault)
{
	return BAD_IMAGE(fault, "damaged bundle (it has no footer: cut short, or changed); download it again");
}

static int no_foreign(const struct request *request, struct image *image, struct fault *fault)
{
	(void)image;
	if (request->self)
		return no_footer(fault);
	return BAD_IMAGE(fault, "is no tmprun bundle; start it with tmprun");
}

static int print_section(const volatile char *text, size_t size, struct fault *fault)
{
	char line[sizeof section_update_information + 2];
	size_t length = 0;
	for (; length < size && length < sizeof line - 2 && text[length]; length++)
		line[length] = text[length];
	memcpy(line + length, "\n", sizeof "\n");
	return print(line, fault);
}

static int tell_of_itself(const struct request *request, int fd, const char *what, struct fault *fault)
{
	(void)fd;
	if (!request->self)
		return FAILED(fault, "only tmprun can tell that of another file");
	for (size_t i = 0; i < COUNT(sections); i++)
		if (strcmp(what, sections[i].name) == 0)
			return print_section(sections[i].text, sections[i].size, fault);
	/* The payload's offset: a bundle's stands in its footer, and we would not be asked if there were one. */
	return no_footer(fault);
}

int main(int argc, char **argv)
{
	static char self[PATH_MAX];
	struct request request = {.typed = argc > 0 ? argv[0] : "",
				  .path = "/proc/self/exe",
				  REQUEST_OPENS,
				  .self = true,
				  .arguments = argc > 0 ? argv + 1 : argv,
				  .count = argc > 0 ? argc - 1 : 0,
				  .foreign = no_foreign,
				  .tell = tell_of_itself};
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
