#define _GNU_SOURCE
#include "foreign/foreign.h"

#include "foreign/deflate.h"
#include "foreign/known.h"
#include "foreign/lz4.h"
#include "foreign/lzo.h"
#include "foreign/python.h"
#include "foreign/xz.h"
#include "image/codec.h"
#include "image/index.h"

int foreign_load(const struct request *request, struct image *image, struct fault *fault)
{
	if (request->again)
		return BAD_IMAGE(fault, "is no image that tmprun knows");
	if (known_load(image, &request->environment))
		return 0;
	debug_log("nothing is known about this image yet: importing", (char *)NULL);
	return python_import(request, image, fault);
}

void foreign_codecs(void)
{
	codec_add(CODEC_ZLIB, &deflate_decoder);
	codec_add(CODEC_XZ, &xz_decoder);
	codec_add(CODEC_LZ4, &lz4_decoder);
	codec_add(CODEC_LZO, &lzo_decoder);
}
