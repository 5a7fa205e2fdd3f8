/*
 * Starts commands and times them, precisely: vfork, exec, wait4 and CLOCK_MONOTONIC, in a process so small that starting
 * another costs what the kernel asks for and no more. measure/timer.py talks to it.
 *
 *   timer PLAN
 *
 * PLAN is a file of strings, each ended by a NUL: the number of commands; for each its output file, its error file and its
 * number of steps; for each step its flags, expected exit status, directory, number of arguments, these, number of
 * environment strings, these. Flags: `t` the time counts, `o` its stdout is the answer (goes to the output file; all other
 * output to the error file), `a` do it even after a step that failed.
 *
 * On stdin lines `ROUNDS COMMAND COMMAND ...`: runs the commands so many times over, one after the other, beginning with
 * another one each round. On stdout one JSON line a run. A run is over when all processes that it left behind (it is made
 * the reaper of orphans) have ended: their processor time counts, and they cannot disturb the next.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COMMANDS = 256, SETTLE_SECONDS = 60, NOT_STARTED = 127 };

struct step {
	bool timed, answer, always;
	int expected;
	char *directory, **argv, **environment;
};

struct command {
	char *output, *errors;
	unsigned count;
	struct step *steps;
};

struct outcome {
	int status; /* exit status, or -signal */
	long long nanoseconds, processor_microseconds;
	long resident_kib;
	bool ran;
};

static struct command commands[MAX_COMMANDS];
static unsigned command_count;

static void die(const char *what)
{
	fprintf(stderr, "timer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (!memory)
		die("calloc");
	return memory;
}

static char *read_plan(const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file || fseek(file, 0, SEEK_END) < 0)
		die(path);
	size_t size = (size_t)ftell(file);
	char *text = allocate(size + 1, 1);
	rewind(file);
	if (fread(text, 1, size, file) != size)
		die(path);
	fclose(file);
	return text;
}

static char *next(char **plan)
{
	char *text = *plan;
	*plan += strlen(text) + 1;
	return text;
}

static char **next_list(char **plan)
{
	unsigned count = (unsigned)atoi(next(plan));
	char **list = allocate(count + 1u, sizeof *list);
	for (unsigned i = 0; i < count; i++)
		list[i] = next(plan);
	return list;
}

static void parse(char *plan)
{
	command_count = (unsigned)atoi(next(&plan));
	if (command_count > MAX_COMMANDS)
		die("too many commands");
	for (struct command *command = commands; command < commands + command_count; command++) {
		command->output = next(&plan);
		command->errors = next(&plan);
		command->count = (unsigned)atoi(next(&plan));
		command->steps = allocate(command->count, sizeof *command->steps);
		for (struct step *step = command->steps; step < command->steps + command->count; step++) {
			const char *flags = next(&plan);
			step->timed = strchr(flags, 't');
			step->answer = strchr(flags, 'o');
			step->always = strchr(flags, 'a');
			step->expected = atoi(next(&plan));
			step->directory = next(&plan);
			step->argv = next_list(&plan);
			step->environment = next_list(&plan);
		}
	}
}

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static long long processor(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000ll + usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

static struct outcome run_step(const struct step *step, int input, int output, int errors)
{
	struct rusage usage;
	int status;
	long long start = now();
	pid_t pid = vfork();
	if (pid == 0) {
		if (dup2(input, 0) < 0 || dup2(step->answer ? output : errors, 1) < 0 || dup2(errors, 2) < 0 || chdir(step->directory) < 0)
			_exit(NOT_STARTED);
		execve(step->argv[0], step->argv, step->environment);
		_exit(NOT_STARTED);
	}
	if (pid < 0)
		die("vfork");
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			die("wait4");
	long long end = now();
	return (struct outcome){
		.status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status),
		.nanoseconds = end - start,
		.processor_microseconds = processor(&usage),
		.resident_kib = usage.ru_maxrss,
		.ran = true,
	};
}

/* Wait for what the steps left behind. Returns whether all of it has ended. */
static bool settle(unsigned *count, long long *processor_microseconds)
{
	long long deadline = now() + SETTLE_SECONDS * 1000000000ll;
	while (now() < deadline) {
		struct rusage usage;
		pid_t pid = wait4(-1, NULL, WNOHANG, &usage);
		if (pid < 0)
			return errno == ECHILD;
		if (pid > 0) {
			++*count;
			*processor_microseconds += processor(&usage);
		} else {
			nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
		}
	}
	return false;
}

static int create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		die(path);
	return fd;
}

static void report(unsigned number, const struct command *command, const struct outcome *outcomes, unsigned helpers,
		   long long helpers_processor, bool settled)
{
	printf("{\"command\": %u, \"helpers\": %u, \"helpers_cpu_us\": %lld, \"settled\": %s, \"steps\": [", number, helpers,
	       helpers_processor, settled ? "true" : "false");
	for (unsigned i = 0; i < command->count; i++) {
		const struct outcome *outcome = &outcomes[i];
		printf("%s{\"ran\": %s, \"timed\": %s, \"status\": %d, \"expected\": %d, \"ns\": %lld, \"cpu_us\": %lld, \"rss_kib\": %ld}",
		       i ? ", " : "", outcome->ran ? "true" : "false", command->steps[i].timed ? "true" : "false", outcome->status,
		       command->steps[i].expected, outcome->nanoseconds, outcome->processor_microseconds, outcome->resident_kib);
	}
	printf("]}\n");
	fflush(stdout);
}

static void run_command(unsigned number, int input)
{
	const struct command *command = &commands[number];
	struct outcome outcomes[command->count + 1u];
	int output = create(command->output), errors = create(command->errors);
	bool failed = false, settled;
	unsigned helpers = 0;
	long long helpers_processor = 0;
	memset(outcomes, 0, sizeof outcomes);
	for (unsigned i = 0; i < command->count; i++) {
		if (failed && !command->steps[i].always)
			continue;
		outcomes[i] = run_step(&command->steps[i], input, output, errors);
		failed = failed || outcomes[i].status != command->steps[i].expected;
	}
	close(output);
	close(errors);
	settled = settle(&helpers, &helpers_processor);
	report(number, command, outcomes, helpers, helpers_processor, settled);
}

static void run_line(char *line, int input)
{
	unsigned numbers[MAX_COMMANDS], count = 0;
	char *rest = line;
	long rounds = strtol(strsep(&rest, " \n"), NULL, 10);
	for (char *word; (word = strsep(&rest, " \n"));)
		if (*word && count < MAX_COMMANDS)
			numbers[count++] = (unsigned)strtoul(word, NULL, 10) % command_count;
	for (long round = 0; round < rounds; round++)
		for (unsigned i = 0; i < count; i++)
			run_command(numbers[((unsigned long)round + i) % count], input);
}

int main(int argc, char **argv)
{
	char line[4096];
	if (argc != 2)
		return 2;
	parse(read_plan(argv[1]));
	int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (input < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		die("set-up");
	while (fgets(line, sizeof line, stdin))
		run_line(line, input);
	return 0;
}
