"""How much time packing takes for how small a bundle: levels of zstd."""

from __future__ import annotations

# Programs, libraries and Python modules, 100 MB in frames of 1 MiB (in ours, of 512 KiB, all are 2 % larger and packed
# a sixth faster): stored size, decoding and packing speed of one core.
#     level   size %    decode MB/s   pack MB/s
#         3     30.1           1430         370
#         9     28.1           1480          91
#        17     26.5           1310          10
#        18     25.2           1160           7
#        19     25.1           1150           5
# Our 18 is not quite zstd's: it takes 0.75 of the time, and 25.6 % (`bundle.footer`).
# A bundle is packed once and fetched and started often. Against level 9, 18 saves a tenth of every download and costs a
# cold start that decodes 300 MB on two cores 28 ms. 19 gains next to nothing for half as much time again.
DEFAULT_LEVEL = 18
MAX_LEVEL = 22
# For what is packed while somebody waits for the app. LibreOffice's tree: size, and how fast one core decodes and packs
# it against level -1:
#     level   size %    decode   pack
#         3     39.6      0.6     0.4
#        -1     48.9      1.0     1.0   (500 MB/s)
#       -10     65.1      1.9     1.4
#       -20     71.6      2.2     1.8
#       -50     83.1      3.5     3.0
QUICK_LEVEL = -1
# The same where what is packed comes so fast that packing it would be waited for.
FAST_LEVEL = -20
