/* An agent as ssh-agent or a password manager is one: it forbids to be looked at (PR_SET_DUMPABLE 0), holds no descriptor but
 * the standard ones, says "ready" and stays until its input ends. `hidden orphan`: its parent ends first, and it leaves its
 * session. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;
	if (argc > 1 && strcmp(argv[1], "orphan") == 0) {
		if (fork())
			_exit(0);
		setsid();
		usleep(100000); /* adopted by now */
	}
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	prctl(PR_SET_DUMPABLE, 0);
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		continue;
	return 0;
}
