"""An app with windows where there is no glibc: the set `desktop` has what AppImages are told not to bring."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.apps import SETTLED, write
from kit.harness import Harness
from kit.musl_root import in_musl, make_root
from kit.slices import appimage, compile_program, copy_door, libraries_of, library, needed_of, place_of

from tmprun.libc.make import make

# Without the headers of GTK: it draws a text in a window, and saves what is seen of that.
PROGRAM = r"""
typedef void *P;
int gtk_init_check(int *, char ***);
P gtk_window_new(int);
P gtk_label_new(const char *);
P gtk_widget_get_window(P);
P gdk_pixbuf_get_from_window(P, int, int, int, int);
void gtk_container_add(P, P);
void gtk_widget_show_all(P);
void gtk_window_resize(P, int, int);
void gtk_main(void);
void gtk_main_quit(void);
unsigned g_timeout_add(unsigned, int (*)(P), P);
int gdk_pixbuf_savev(P, const char *, const char *, char **, char **, P *);

static P window;
static const char *file;

static int save(P unused)
{
    P pixels = gdk_pixbuf_get_from_window(gtk_widget_get_window(window), 0, 0, 320, 120);
    (void)unused;
    if (pixels)
        gdk_pixbuf_savev(pixels, file, "png", (char *[]){0}, (char *[]){0}, 0);
    gtk_main_quit();
    return 0;
}

int main(int argc, char **argv)
{
    if (!gtk_init_check(&argc, &argv))
        return 3;
    file = argv[1];
    window = gtk_window_new(0);
    gtk_container_add(window, gtk_label_new("A text in a window: \xc3\xa4 \xe2\x82\xac"));
    gtk_window_resize(window, 320, 120);
    gtk_widget_show_all(window);
    g_timeout_add(1000, save, 0);
    gtk_main();
    return 0;
}
"""
GTK = ("libgtk-3.so.0", "libgdk-3.so.0", "libgobject-2.0.so.0", "libglib-2.0.so.0", "libgdk_pixbuf-2.0.so.0")
FONTS = '<?xml version="1.0"?><fontconfig><dir prefix="relative">fonts</dir></fontconfig>\n'


@pytest.fixture
def display() -> Iterator[str]:
    """A screen that is reached by an abstract socket, so from every root of this network namespace."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as screen:
        os.close(writing)
        with os.fdopen(reading) as said:
            number = said.readline().strip()
        yield f":{number}"
        screen.terminate()


def test_a_window_looks_the_same(harness: Harness, door: Path, display: str, tmp_path: Path) -> None:
    apps = tmp_path / "apps"
    slice_ = place_of(apps / "data") / "desktop.slice"
    make(str(slice_), sets=["desktop"], level=1)
    appdir = tmp_path / "Gtk.AppDir"
    program = compile_program(PROGRAM, appdir / "usr" / "bin" / "window", *(str(library(name)) for name in GTK))
    (appdir / "usr" / "lib").mkdir()
    for name in set(needed_of(program)) - libraries_of(slice_):
        shutil.copy(library(name), appdir / "usr" / "lib" / name)
    script = 'export LD_LIBRARY_PATH="$APPDIR/usr/lib"\nexec "$APPDIR/usr/bin/window" "$@"\n'
    write(appdir / "AppRun", f"#!/bin/sh\n{script}", 0o755)
    appimage(appdir, apps / "window.AppImage")
    command = ["fc-match", "-f", "%{file}", "sans"]
    font = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (apps / "fonts").mkdir()
    shutil.copy(font, apps / "fonts")
    write(apps / "fonts.conf", FONTS)
    copy_door(door, apps)
    time.sleep(SETTLED)
    env = {"DISPLAY": display, "NO_AT_BRIDGE": "1", "GTK_THEME": "Adwaita", "GSETTINGS_BACKEND": "memory"}
    here = {**env, "FONTCONFIG_FILE": str(apps / "fonts.conf")}
    harness.run(door, apps / "window.AppImage", apps / "here.png", env=here)
    there = {**env, "FONTCONFIG_FILE": "/apps/fonts.conf", "XDG_DATA_HOME": "/apps/data"}
    root = make_root(tmp_path / "root")
    in_musl(harness, root, apps, "/apps/tmprun", "/apps/window.AppImage", "/apps/there.png", env=there)
    picture = (apps / "here.png").read_bytes()
    assert len(picture) > 1000 and (apps / "there.png").read_bytes() == picture
