/* LZ4 blocks, which mksquashfs writes with `-comp lz4`. */
#ifndef TMPRUN_FOREIGN_LZ4_H
#define TMPRUN_FOREIGN_LZ4_H

#include "image/codec.h"

extern const struct decoder lz4_decoder;

#endif
