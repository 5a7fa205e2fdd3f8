#ifndef TMPRUN_VERSION
#define TMPRUN_VERSION "unknown" /* the build gives the package's */

#endif
