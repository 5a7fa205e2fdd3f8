#define _GNU_SOURCE
#include "foreign/python.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

extern const char python_boot[] __attribute__((visibility("hidden")));

enum { PYTHON_DESCRIPTORS = 16 };

/* The path of this program, symlinks resolved; where /proc cannot tell, of the name that it was started by. */
static bool own_path(char path[PATH_MAX])
{
	const char *started = (const char *)getauxval(AT_EXECFN);
	return realpath("/proc/self/exe", path) || (started && realpath(started, path));
}

/* A virtual environment may have been moved since pip wrote its scripts; its Python still is where it was in it. */
static bool venv_python(const char *folder, char python[PATH_MAX])
{
	char sign[PATH_MAX];
	return join(sign, sizeof sign, folder, "/../pyvenv.cfg", (char *)NULL) && access(sign, F_OK) == 0 &&
	       join(python, PATH_MAX, folder, "/python3", (char *)NULL) && access(python, X_OK) == 0;
}

/*
 * The interpreter in a script's first line, `#!/path/python3 [option]`. Where that would be too long, or has a space in
 * it, pip writes `#!/bin/sh` and a second line that Python reads as a string: `'''exec' "/path/python3" "$0" "$@"`.
 */
static bool script_python(char *text, char python[PATH_MAX])
{
	static const char shell[] = "#!/bin/sh\n'''exec' ";
	if (strncmp(text, "#!", 2) != 0)
		return false;
	char *path = text + 2 + strspn(text + 2, " \t");
	const char *end = " \t\r\n";
	if (strncmp(text, shell, sizeof shell - 1) == 0) {
		path = text + sizeof shell - 1;
		if (*path == '"' || *path == '\'')
			end = *path++ == '"' ? "\"\n" : "'\n";
	}
	path[strcspn(path, end)] = '\0';
	const char *name = *path == '/' ? strrchr(path, '/') : "";
	return strncmp(name, "/python", 7) == 0 && join(python, PATH_MAX, path, (char *)NULL) && access(python, X_OK) == 0;
}

/* The Python that this program, whose path becomes `door`, was installed with. */
static int find_python(char door[PATH_MAX], char python[PATH_MAX], struct fault *fault)
{
	char folder[PATH_MAX], script[PATH_MAX], text[PATH_MAX];
	if (!own_path(door))
		return FAILED(fault, "cannot tell where this program is: ", reason_text(errno));
	join(folder, sizeof folder, door, (char *)NULL);
	*strrchr(folder, '/') = '\0';
	if (venv_python(folder, python))
		return 0;
	if (!join(script, sizeof script, folder, "/tmprun-py", (char *)NULL) || access(script, R_OK) < 0)
		return FAILED(fault, "this needs the Python part of tmprun (tmprun-py), which is not beside ", door,
			      "; install the package with pip");
	if (read_text(AT_FDCWD, script, text, sizeof text) > 0 && script_python(text, python))
		return 0;
	return FAILED(fault, script, " was made for a Python that is not there; install the package again with pip");
}

/* With fewer descriptors Python does not get as far as saying so itself. */
static int check_descriptors(struct fault *fault)
{
	struct rlimit limit;
	char number[24];
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= PYTHON_DESCRIPTORS)
		return 0;
	return FAILED(fault, "this needs ", decimal(number, PYTHON_DESCRIPTORS),
		      " descriptors, and the limit is lower; raise it (ulimit -n)");
}

bool python_there(struct fault *fault)
{
	char door[PATH_MAX], python[PATH_MAX];
	return find_python(door, python, fault) == 0;
}

int python_become(const char *const *arguments, struct fault *fault)
{
	char door[PATH_MAX], python[PATH_MAX];
	if (check_descriptors(fault) < 0 || find_python(door, python, fault) < 0)
		return -1;
	/* -I: a PYTHONPATH or PYTHONHOME that is meant for the app must not break, or steer, our own. */
	const char *const first[] = {python, "-I", "-c", python_boot, door};
	size_t count = 0;
	while (arguments[count])
		count++;
	CLEANUP(free_pointer) const char **argv = calloc(COUNT(first) + count + 1, sizeof *argv);
	if (!argv)
		return FAILED(fault, "no memory");
	memcpy(argv, first, sizeof first);
	memcpy(argv + COUNT(first), arguments, count * sizeof *argv);
	execv(python, (char *const *)argv);
	return FAILED(fault, "cannot start ", python, ": ", reason_text(errno));
}
