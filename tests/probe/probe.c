/* The payload of the tests: a program that reports what it was given, byte by byte, and then does as it is told.
 *
 * Arguments that begin with "probe:" are done in order; all others are only reported.
 *   probe:report[=FILE]  one JSON object a line, on stdout or in FILE (which appears when it is complete)
 *   probe:stdin          what comes on stdin, up to its end
 *   probe:sum[=PATH]     size and CRC-32 of a file, or of every file below a directory (default: the AppDir)
 *   probe:print=TEXT  probe:error=TEXT  probe:touch=FILE
 *   probe:wait=FILE      until that file exists   probe:sleep=SECONDS
 *   probe:close          close every descriptor   probe:daemon  go on in a grandchild with a session of its own
 *   probe:exit=STATUS    probe:signal=NUMBER      end
 *
 * Bytes above 0x7E and below 0x20 appear as \u00XX, so that a reader gets the bytes back with the encoding latin-1. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { HIGHEST_FD = 1024, HIGHEST_SIGNAL = 64, LIMITS = 16 };

static void put_bytes(FILE *out, const char *bytes, size_t size)
{
	putc('"', out);
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\')
			fprintf(out, "\\u%04x", byte);
		else
			putc(byte, out);
	}
	putc('"', out);
}

static void put_text(FILE *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

static void report_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "{\"%s\": ", key);
	put_text(out, text ? text : "");
	fputs("}\n", out);
}

static void report_number(FILE *out, const char *key, long long number)
{
	fprintf(out, "{\"%s\": %lld}\n", key, number);
}

static void report_list(FILE *out, const char *key, char **texts)
{
	fprintf(out, "{\"%s\": [", key);
	for (int i = 0; texts[i]; i++) {
		fputs(i ? ", " : "", out);
		put_text(out, texts[i]);
	}
	fputs("]}\n", out);
}

static void report_link(FILE *out, const char *key, const char *path)
{
	char target[PATH_MAX] = "";
	ssize_t length = readlink(path, target, sizeof target - 1);
	target[length > 0 ? length : 0] = '\0';
	report_text(out, key, target);
}

static void report_descriptors(FILE *out)
{
	for (int fd = 0; fd < HIGHEST_FD; fd++) {
		char path[64], target[PATH_MAX] = "";
		int flags = fcntl(fd, F_GETFL), on_exec = fcntl(fd, F_GETFD);
		if (on_exec < 0 || (out != stdout && fd == fileno(out)))
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, target, sizeof target - 1);
		target[length > 0 ? length : 0] = '\0';
		fprintf(out, "{\"fd\": [%d, ", fd);
		put_text(out, target);
		fprintf(out, ", %d, %d]}\n", flags, on_exec);
	}
}

static void report_signals(FILE *out)
{
	sigset_t blocked, pending;
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	sigpending(&pending);
	for (int number = 1; number <= HIGHEST_SIGNAL; number++) {
		struct sigaction action;
		if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			report_number(out, action.sa_handler == SIG_IGN ? "ignored" : "handled", number);
		if (sigismember(&blocked, number) == 1)
			report_number(out, "blocked", number);
		if (sigismember(&pending, number) == 1)
			report_number(out, "pending", number);
	}
	struct itimerval timer;
	getitimer(ITIMER_REAL, &timer);
	report_number(out, "alarm", timer.it_value.tv_sec + (timer.it_value.tv_usec > 0));
}

static void report_limits(FILE *out)
{
	for (int which = 0; which < LIMITS; which++) {
		struct rlimit limit;
		if (getrlimit(which, &limit) == 0)
			fprintf(out, "{\"limit\": [%d, \"%llu\", \"%llu\"]}\n", which, (unsigned long long)limit.rlim_cur,
				(unsigned long long)limit.rlim_max);
	}
}

static void report_family(FILE *out)
{
	int value = 0;
	report_number(out, "pid", getpid());
	report_number(out, "ppid", getppid());
	report_number(out, "pgid", getpgrp());
	report_number(out, "sid", getsid(0));
	int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	report_number(out, "tty", terminal < 0 ? -1 : tcgetpgrp(terminal));
	if (terminal >= 0)
		close(terminal);
	/* 0: there is a child that has not ended; -1: there is none. */
	report_number(out, "child", waitpid(-1, NULL, WNOHANG | __WALL));
	prctl(PR_GET_PDEATHSIG, &value);
	report_number(out, "death_signal", value);
	prctl(PR_GET_CHILD_SUBREAPER, &value);
	report_number(out, "subreaper", value);
	report_number(out, "no_new_privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	report_number(out, "uid", geteuid());
}

static void report(FILE *out, char **argv)
{
	char here[PATH_MAX] = "", name[17] = "";
	mode_t mask = umask(0);
	umask(mask);
	prctl(PR_GET_NAME, name);
	report_list(out, "argv", argv);
	report_list(out, "environ", environ);
	report_family(out);
	report_descriptors(out);
	report_signals(out);
	report_limits(out);
	report_number(out, "umask", mask);
	report_text(out, "cwd", getcwd(here, sizeof here));
	report_text(out, "name", name);
	report_text(out, "started_as", (const char *)getauxval(AT_EXECFN));
	report_link(out, "exe", "/proc/self/exe");
}

static void report_to(const char *path, char **argv)
{
	if (!path) {
		report(stdout, argv);
		fflush(stdout);
		return;
	}
	char unfinished[PATH_MAX];
	snprintf(unfinished, sizeof unfinished, "%s.new", path);
	FILE *out = fopen(unfinished, "we");
	if (!out)
		exit(99);
	report(out, argv);
	fclose(out);
	rename(unfinished, path);
}

static void report_input(void)
{
	static char bytes[1 << 20];
	size_t size = fread(bytes, 1, sizeof bytes, stdin);
	fputs("{\"stdin\": ", stdout);
	put_bytes(stdout, bytes, size);
	fputs("}\n", stdout);
	fflush(stdout);
}

/* zlib's crc32. */
static uint32_t checksum(uint32_t sum, const unsigned char *bytes, size_t size)
{
	static uint32_t table[256];
	for (uint32_t n = 0; table[255] == 0; n++) {
		table[n] = n;
		for (int bit = 0; bit < 8; bit++)
			table[n] = table[n] & 1 ? 0xEDB88320u ^ table[n] >> 1 : table[n] >> 1;
	}
	sum = ~sum;
	for (size_t i = 0; i < size; i++)
		sum = table[(sum ^ bytes[i]) & 255] ^ sum >> 8;
	return ~sum;
}

static void sum_file(const char *path)
{
	static unsigned char bytes[1 << 16];
	uint32_t sum = 0;
	long long size = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (got = read(fd, bytes, sizeof bytes)) > 0) {
		sum = checksum(sum, bytes, (size_t)got);
		size += got;
	}
	fputs("{\"sum\": [", stdout);
	put_text(stdout, path);
	if (fd < 0 || got < 0)
		fprintf(stdout, ", -1, %d]}\n", errno);
	else
		fprintf(stdout, ", %lld, %lu]}\n", size, (unsigned long)sum);
	if (fd >= 0)
		close(fd);
}

static void sum_below(const char *path)
{
	DIR *listing = opendir(path);
	if (!listing) {
		sum_file(path);
		return;
	}
	for (struct dirent *entry; (entry = readdir(listing));) {
		char below[PATH_MAX];
		struct stat stat;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
		if (lstat(below, &stat) == 0 && S_ISDIR(stat.st_mode))
			sum_below(below);
		else if (S_ISREG(stat.st_mode))
			sum_file(below);
	}
	closedir(listing);
}

static void sum(const char *path)
{
	const char *appdir = getenv("APPDIR");
	sum_below(path ? path : appdir ? appdir : ".");
	fflush(stdout);
}

static void pause_for(double seconds)
{
	usleep((useconds_t)(seconds * 1e6));
}

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		exit(99);
	close(fd);
}

static void become_daemon(void)
{
	if (fork() != 0)
		_exit(0);
	setsid();
	if (fork() != 0)
		_exit(0);
	for (int fd = 0; fd < HIGHEST_FD; fd++)
		close(fd);
	if (chdir("/") < 0)
		_exit(98);
}

static void die_of(int number)
{
	signal(number, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	raise(number);
	exit(97);
}

static void act(const char *what, const char *value, char **argv)
{
	if (strcmp(what, "report") == 0)
		report_to(value, argv);
	else if (strcmp(what, "stdin") == 0)
		report_input();
	else if (strcmp(what, "sum") == 0)
		sum(value);
	else if (strcmp(what, "print") == 0)
		puts(value);
	else if (strcmp(what, "error") == 0)
		fprintf(stderr, "%s\n", value);
	else if (strcmp(what, "touch") == 0)
		touch(value);
	else if (strcmp(what, "wait") == 0)
		while (access(value, F_OK) < 0)
			pause_for(0.002);
	else if (strcmp(what, "sleep") == 0)
		pause_for(atof(value));
	else if (strcmp(what, "close") == 0)
		for (int fd = 0; fd < HIGHEST_FD; fd++)
			close(fd);
	else if (strcmp(what, "daemon") == 0)
		become_daemon();
	else if (strcmp(what, "signal") == 0)
		die_of(atoi(value));
	else if (strcmp(what, "exit") == 0)
		exit(atoi(value));
	else
		exit(96);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const char prefix[] = "probe:";
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], prefix, sizeof prefix - 1) != 0)
			continue;
		char what[16] = "";
		const char *order = argv[i] + sizeof prefix - 1;
		size_t length = strcspn(order, "=");
		memcpy(what, order, length < sizeof what ? length : sizeof what - 1);
		act(what, order[length] ? order + length + 1 : NULL, argv);
	}
	return 0;
}
