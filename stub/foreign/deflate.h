/* DEFLATE, which bundles never use and AppImages often do. */
#ifndef TMPRUN_FOREIGN_DEFLATE_H
#define TMPRUN_FOREIGN_DEFLATE_H

#include "image/codec.h"

extern const struct decoder deflate_decoder;

#endif
