#define _GNU_SOURCE
#include "foreign/lasts.h"

#include "base/printable.h"
#include "base/text.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLEAR "\r\033[K"

enum { SHOWN = 48 }; /* bytes of the app's name: a line must not wrap, or it could not be taken away */

/* What is being done, and told to the user; there is one start in a process. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t end;
	pthread_t thread;
	const struct request *request;
	const char *what;
	bool running, over;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};

static void put(const char *text)
{
	ssize_t written = write(STDERR_FILENO, text, strlen(text));
	(void)written; /* it is only a courtesy */
}

static void say(unsigned seconds)
{
	char name[SHOWN], line[sizeof name + 64], number[24];
	const char *slash = strrchr(told.request->shown, '/');
	printable(name, sizeof name, slash ? slash + 1 : told.request->shown);
	join(line, sizeof line, CLEAR, told.what, " ", name, " ... ", decimal(number, seconds), " s", (char *)NULL);
	put(line);
}

static void *tell(void *unused)
{
	struct timespec until;
	unsigned seconds = 0;
	clock_gettime(CLOCK_REALTIME, &until);
	pthread_mutex_lock(&told.lock);
	while (!told.over) {
		until.tv_sec++;
		while (!told.over && pthread_cond_timedwait(&told.end, &told.lock, &until) == 0)
			;
		if (!told.over)
			say(++seconds);
	}
	pthread_mutex_unlock(&told.lock);
	if (seconds)
		put(CLEAR);
	return unused;
}

static void end(void)
{
	if (!told.running)
		return;
	pthread_mutex_lock(&told.lock);
	told.over = true;
	pthread_cond_signal(&told.end);
	pthread_mutex_unlock(&told.lock);
	pthread_join(told.thread, NULL);
	told.running = false;
}

void start_lasts(const struct request *request, const char *what)
{
	sigset_t all, before;
	end();
	if (!what || strcmp(request->verb, "run") != 0 || !isatty(STDERR_FILENO))
		return;
	told.request = request;
	told.what = what;
	told.over = false;
	/* Signals are for the thread that works. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	told.running = pthread_create(&told.thread, NULL, tell, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
