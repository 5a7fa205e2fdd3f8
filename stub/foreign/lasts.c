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

/* What is being done now; there is one start in a process. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t end;
	pthread_t thread;
	const struct request *request;
	const char *what;
	bool running, over;
} now = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};

static void put(const char *text)
{
	ssize_t written = write(STDERR_FILENO, text, strlen(text));
	(void)written; /* it is only a courtesy */
}

static void say(unsigned seconds)
{
	char name[SHOWN], line[sizeof name + 64], number[24];
	const char *slash = strrchr(now.request->shown, '/');
	printable(name, sizeof name, slash ? slash + 1 : now.request->shown);
	join(line, sizeof line, CLEAR, now.what, " ", name, " ... ", decimal(number, seconds), " s", (char *)NULL);
	put(line);
}

static void *tell(void *unused)
{
	struct timespec until;
	unsigned seconds = 0;
	clock_gettime(CLOCK_REALTIME, &until);
	pthread_mutex_lock(&now.lock);
	while (!now.over) {
		until.tv_sec++;
		while (!now.over && pthread_cond_timedwait(&now.end, &now.lock, &until) == 0)
			;
		if (!now.over)
			say(++seconds);
	}
	pthread_mutex_unlock(&now.lock);
	if (seconds)
		put(CLEAR);
	return unused;
}

static void end(void)
{
	if (!now.running)
		return;
	pthread_mutex_lock(&now.lock);
	now.over = true;
	pthread_cond_signal(&now.end);
	pthread_mutex_unlock(&now.lock);
	pthread_join(now.thread, NULL);
	now.running = false;
}

void start_lasts(const struct request *request, const char *what)
{
	sigset_t all, before;
	end();
	if (!what || strcmp(request->verb, "run") != 0 || !isatty(STDERR_FILENO))
		return;
	now.request = request;
	now.what = what;
	now.over = false;
	/* Signals are for the thread that works. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	now.running = pthread_create(&now.thread, NULL, tell, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
