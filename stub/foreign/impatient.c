#define _GNU_SOURCE
#include "foreign/impatient.h"

#include "base/crew.h"
#include "base/system.h"
#include "squashfs/order.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SCRIPT_LARGEST = 1 << 16 };

/* A piece of text that ends at no NUL. */
struct word {
	const char *text;
	size_t length;
	bool for_all; /* a word behind it asks grep for all files */
};

static const char *const programs[] = {"tar", "gtar", "rgrep", "file", "wine", "wine64", "wineserver", "wineserver64", NULL};
static const char *const greps[] = {"grep", "egrep", "fgrep", "zgrep", NULL};
/* Python packages and node modules bring launchers for Windows, which nobody opens here. */
static const char *const launchers[] = {"site-packages", "dist-packages", "distutils", "node_modules", NULL};
/* What desktops share asks `file` about the user's documents, and LibreOffice's about the machine's e-mail program. */
static const char *const of_others[] = {"xdg-mime", "xdg-open", "senddoc", NULL};
/* .NET's own programs have the form of Windows', and are opened as any other file. */
static const char *const dotnet[] = {"libcoreclr.so", "libmonosgen-2.0.so", NULL};
/* Words behind which another command begins. */
static const char *const before[] = {"if",   "then", "do",      "else", "elif", "while", "until", "exec",     "xargs", "sudo",
				     "nice", "time", "command", "env",  "eval", "-c",    "-exec", "-execdir", NULL};

static bool is_one_of(struct word word, const char *const *names)
{
	for (; word.length && *names; names++)
		if (**names == *word.text && strlen(*names) == word.length && memcmp(*names, word.text, word.length) == 0)
			return true;
	return false;
}

static bool is_in(char character, const char *set)
{
	return character && strchr(set, character);
}

static bool has(struct word word, const char *text)
{
	return memmem(word.text, word.length, text, strlen(text));
}

/* Whether that is grep's -r, alone or among other letters, or what it is called in full. */
static bool asks_for_all(struct word argument)
{
	if (argument.length >= 2 && memcmp(argument.text, "--", 2) == 0)
		return has(argument, "recurs");
	return argument.text[0] == '-' && (has(argument, "r") || has(argument, "R"));
}

static struct word last_name(struct word path)
{
	const char *slash = memrchr(path.text, '/', path.length);
	size_t skip = slash ? (size_t)(slash - path.text) + 1 : 0;
	return (struct word){path.text + skip, path.length - skip, false};
}

static bool begins(struct word word, const char *text)
{
	return word.length >= strlen(text) && memcmp(word.text, text, strlen(text)) == 0;
}

/* Whether it is a path that is no word of a text. */
static bool leads_somewhere(struct word word)
{
	return begins(word, "/") || begins(word, "./") || begins(word, "../") || begins(word, "$") || begins(word, "~");
}

static bool ends(struct word word, const char *text)
{
	size_t length = strlen(text);
	return word.length >= length && memcmp(word.text + word.length - length, text, length) == 0;
}

/* Whether the first of a command's words is a program that does not wait. */
static bool is_call(const struct word *words, size_t count)
{
	struct word name = last_name(words[0]);
	if (name.length == 4 && begins(name, "file")) { /* an English word, too: "[--flag] url/file ...", "basename(file, '.js')" */
		bool called = words[0].length == name.length || leads_somewhere(words[0]);
		return called && count > 1 && (begins(words[1], "-") || begins(words[1], "<") || leads_somewhere(words[1]));
	}
	return is_one_of(name, programs) || (is_one_of(name, greps) && words[0].for_all);
}

/* Whether a command starts such a program, itself or behind words that start another one. */
static bool command_calls_one(struct word *words, size_t count)
{
	bool for_all = false, first = true;
	for (size_t i = count; i-- > 0;) {
		words[i].for_all = for_all;
		for_all = for_all || asks_for_all(words[i]);
	}
	for (size_t i = 0; i < count; i++) {
		bool opens = is_one_of(words[i], before);
		if (first && !opens && !memchr(words[i].text, '=', words[i].length) && !is_in(words[i].text[0], "-0123456789")) {
			if (is_call(words + i, count - i))
				return true;
			first = false;
		}
		first = first || opens;
	}
	return false;
}

static size_t split(struct word command, struct word *words)
{
	size_t count = 0;
	for (size_t at = 0; at < command.length;) {
		size_t begin = at;
		while (at < command.length && !is_in(command.text[at], " \t\n\r\v\f"))
			at++;
		if (at > begin)
			words[count++] = (struct word){command.text + begin, at - begin, false};
		else
			at++;
	}
	return count;
}

static bool is_comment(const char *line, size_t length)
{
	size_t at = 0;
	while (at < length && is_in(line[at], " \t\n\r\v\f"))
		at++;
	return at < length && line[at] == '#';
}

/* Commands end with ';' and words with a blank, in place of whatever does that in a shell and most other languages for scripts;
 * quotes and comments go. What is left of the text is so long. */
static size_t simplify(char *script, size_t size)
{
	size_t used = 0;
	for (size_t at = 0; at < size;) {
		const char *newline = memchr(script + at, '\n', size - at);
		size_t end = newline ? (size_t)(newline - script) : size;
		bool comment = is_comment(script + at, end - at);
		for (; at < end; at++)
			if (!comment && !is_in(script[at], "\"'\\"))
				script[used++] = is_in(script[at], "()`|;&!{}") ? ';' : is_in(script[at], "\t,[]") ? ' ' : script[at];
		if (at++ < size)
			script[used++] = ';';
	}
	return used;
}

bool script_calls_one(char *script, size_t size)
{
	const struct word all = {script, size, false};
	if (!has(all, "tar") && !has(all, "grep") && !has(all, "file") && !has(all, "wine"))
		return false;
	/* As many words as there may be at the most. */
	CLEANUP(free_pointer) struct word *words = zeroed(size / 2 + 1, sizeof *words);
	if (!words)
		return false;
	size = simplify(script, size);
	for (size_t at = 0; at < size;) {
		const char *end = memchr(script + at, ';', size - at);
		size_t length = end ? (size_t)(end - script) - at : size - at;
		if (command_calls_one(words, split((struct word){script + at, length, false}, words)))
			return true;
		at += length + 1;
	}
	return false;
}

/* What is to be looked into, in the order in which it lies in the image: a frame is decoded once. */
struct candidates {
	uint32_t *scripts, *windows;
	uint32_t script_count, window_count;
	bool dotnet, program; /* what was seen besides: .NET; a program that does not wait, by its name */
};

static bool is_windows(struct word name)
{
	const char *end = name.text + name.length - 4;
	return name.length >= 4 && *end == '.' &&
	       (strncasecmp(end, ".exe", 4) == 0 || strncasecmp(end, ".dll", 4) == 0 || strncasecmp(end, ".ocx", 4) == 0);
}

/* Python's own modules, which some distributions let start by themselves, and nobody does. */
static bool is_module(const struct index *index, const struct node *node, struct word name)
{
	const struct node *above = &index->nodes[node->parent];
	const struct word folder = {index->strings + above->name, above->name_length, false};
	return begins(folder, "python") && ends(name, ".py");
}

static void judge(struct candidates *found, const struct index *index, uint32_t number, struct word name, bool launcher)
{
	const struct node *node = &index->nodes[number];
	bool program = node->type != NODE_FILE || node->mode & 0111;
	found->program = found->program || (program && is_one_of(name, programs));
	if (node->type != NODE_FILE)
		return;
	found->dotnet = found->dotnet || is_one_of(name, dotnet);
	if (!launcher && is_windows(name))
		found->windows[found->window_count++] = number;
	else if ((program || ends(name, ".sh")) && node->size <= SCRIPT_LARGEST && !is_one_of(name, of_others) &&
		 !is_module(index, node, name))
		found->scripts[found->script_count++] = number;
}

/* By their names. `below` has room for a flag for each node: whether it lies where launchers do. */
static void look_around(struct candidates *found, const struct index *index, bool *below)
{
	for (uint32_t i = 1; i < index->head->nodes; i++) {
		const struct node *node = &index->nodes[i];
		const struct word name = {index->strings + node->name, node->name_length, false};
		if (node->type == NODE_DIRECTORY)
			below[i] = below[node->parent] || is_one_of(name, launchers);
		else
			judge(found, index, i, name, below[node->parent]);
	}
}

static bool begins_with(struct files *files, uint32_t number, const char *magic)
{
	char head[2];
	return files_read(files, &files->index->nodes[number], 0, head, sizeof head) == sizeof head && memcmp(head, magic, 2) == 0;
}

static bool is_calling_script(struct files *files, uint32_t number)
{
	const struct node *node = &files->index->nodes[number];
	CLEANUP(free_pointer) char *script = begins_with(files, number, "#!") ? malloc(node->size) : NULL;
	return script && files_read(files, node, 0, script, node->size) == (ssize_t)node->size && script_calls_one(script, node->size);
}

static bool is_windows_program(struct files *files, uint32_t number)
{
	return begins_with(files, number, "MZ");
}

/* The frame that a file begins in. */
static uint32_t frame_of(const struct index *index, uint32_t number)
{
	const struct node *node = &index->nodes[number];
	return node->b ? index->segments[node->a].frame : HOLE;
}

static int compare_frames(const void *context, uint32_t left, uint32_t right)
{
	uint32_t first = frame_of(context, left), second = frame_of(context, right);
	return (first > second) - (first < second);
}

/* Files to be looked into by a crew; those that begin in one frame are one item, which begins at groups[item] in the list. */
struct look {
	struct files *files; /* one for each hand */
	const uint32_t *numbers, *groups;
	bool (*is_one)(struct files *files, uint32_t number);
	atomic_bool found;
};

static int look_at_group(void *context, unsigned hand, uint32_t item, struct fault *fault)
{
	struct look *look = context;
	(void)fault;
	for (uint32_t i = look->groups[item]; i < look->groups[item + 1] && !look->found; i++)
		if (look->is_one(&look->files[hand], look->numbers[i]))
			look->found = true;
	return 0;
}

/* Where in the ordered list a file begins in another frame than the one before, and its end; how many such groups there are. */
static uint32_t group(const struct index *index, const uint32_t *numbers, uint32_t count, uint32_t *groups)
{
	uint32_t used = 0;
	for (uint32_t i = 0; i < count; i++)
		if (i == 0 || compare_frames(index, numbers[i - 1], numbers[i]) != 0)
			groups[used++] = i;
	groups[used] = count;
	return used;
}

/* Whether one of the files is such a one. A frame takes milliseconds to decode: it is decoded once, and all cores do that. `spare` has
 * room for one number more than there are files. */
static bool look_into(struct files *files, uint32_t *numbers, uint32_t count, uint32_t *spare, bool (*is_one)(struct files *, uint32_t))
{
	struct fault ignored = {0};
	unsigned hands = processors() < CREW_MAX ? processors() : CREW_MAX;
	CLEANUP(free_pointer) struct files *own = count ? zeroed(hands, sizeof *own) : NULL;
	if (!own)
		return false;
	for (unsigned i = 0; i < hands; i++)
		own[i] = (struct files){.fd = files->fd, .index = files->index, .codec.unhashed = files->codec.unhashed};
	order_sort(numbers, spare, count, compare_frames, files->index);
	struct look look = {.files = own, .numbers = numbers, .groups = spare, .is_one = is_one};
	crew_run(hands, group(files->index, numbers, count, spare), look_at_group, &look, &ignored);
	for (unsigned i = 0; i < hands; i++)
		files_free(&own[i]);
	return look.found;
}

bool is_impatient(struct files *files)
{
	uint32_t nodes = files->index->head->nodes;
	CLEANUP(free_pointer) bool *below = zeroed(nodes, sizeof *below);
	CLEANUP(free_pointer) uint32_t *scripts = zeroed(nodes, sizeof *scripts);
	CLEANUP(free_pointer) uint32_t *windows = zeroed(nodes, sizeof *windows);
	CLEANUP(free_pointer) uint32_t *spare = zeroed(nodes + (size_t)1, sizeof *spare);
	struct candidates found = {.scripts = scripts, .windows = windows};
	if (!below || !scripts || !windows || !spare)
		return false;
	look_around(&found, files->index, below);
	return found.program || (!found.dotnet && look_into(files, windows, found.window_count, spare, is_windows_program)) ||
	       look_into(files, scripts, found.script_count, spare, is_calling_script);
}
