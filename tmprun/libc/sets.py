"""Which libraries a slice has: what every app takes for granted, and what apps with windows do."""

from __future__ import annotations

# Beside the C library itself. Nearly every AppImage leaves these to the machine.
BASE = ("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1")

# What AppImages are told not to bring (github.com/AppImageCommunity/pkg2appimage, excludelist).
DESKTOP = (
    "libEGL.so.1", "libGL.so.1", "libGLX.so.0", "libGLdispatch.so.0", "libICE.so.6", "libOpenGL.so.0", "libSM.so.6",
    "libX11-xcb.so.1", "libX11.so.6", "libasound.so.2", "libcom_err.so.2", "libdrm.so.2", "libexpat.so.1",
    "libfontconfig.so.1", "libfreetype.so.6", "libfribidi.so.0", "libgbm.so.1", "libglapi.so.0", "libgmp.so.10",
    "libgpg-error.so.0", "libharfbuzz.so.0", "libjack.so.0", "libp11-kit.so.0", "libpipewire-0.3.so.0",
    "libthai.so.0", "libusb-1.0.so.0", "libuuid.so.1", "libxcb-dri2.so.0", "libxcb-dri3.so.0", "libxcb.so.1",
)  # fmt: skip

SETS = {"desktop": DESKTOP}
