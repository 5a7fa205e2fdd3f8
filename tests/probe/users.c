/* Asks the engine's rule who uses an entry: NAME BUILT LAST_USE PID..., where the processes with these numbers do not count. Prints
 * none, seen or unknown. */
#include "store/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const char *const words[] = {[USE_NONE] = "none", [USE_SEEN] = "seen", [USE_UNKNOWN] = "unknown"};
	pid_t except[8] = {getpid()};
	for (int i = 4; i < argc && i < 10; i++)
		except[i - 3] = atoi(argv[i]);
	struct question question = {.name = argv[1], .built = atol(argv[2]), .last_use = atol(argv[3]), .except = except};
	puts(words[users_look(&question)]);
	return 0;
}
