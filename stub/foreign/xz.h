/* The .xz format, which mksquashfs writes with `-comp xz`: LZMA2, perhaps behind a filter for programs. */
#ifndef TMPRUN_FOREIGN_XZ_H
#define TMPRUN_FOREIGN_XZ_H

#include "image/codec.h"

extern const struct decoder xz_decoder;

#endif
