/* LZO1X, which mksquashfs writes with `-comp lzo`. */
#ifndef TMPRUN_FOREIGN_LZO_H
#define TMPRUN_FOREIGN_LZO_H

#include "image/codec.h"

extern const struct decoder lzo_decoder;

#endif
