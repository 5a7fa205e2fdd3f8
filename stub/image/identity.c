#include "image/identity.h"

static bool same_time(const struct timespec *left, const struct timespec *right)
{
	return left->tv_sec == right->tv_sec && left->tv_nsec == right->tv_nsec;
}

bool identity_same(const struct stat *left, const struct stat *right)
{
	return left->st_dev == right->st_dev && left->st_ino == right->st_ino && left->st_size == right->st_size &&
	       same_time(&left->st_mtim, &right->st_mtim) && same_time(&left->st_ctim, &right->st_ctim);
}

bool identity_stands(int fd, const struct stat *then)
{
	struct stat now;
	return fstat(fd, &now) == 0 && identity_same(&now, then);
}
